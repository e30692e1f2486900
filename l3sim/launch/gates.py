"""`./l3 test`: every gate of the project, the same by hand and in CI."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from l3sim.errors import InvalidInput, L3Error
from l3sim.places import checkout

PYTHON = (sys.executable, "-P", "-m")
#: Name and command of what is checked without running the tests.
GATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff check", (*PYTHON, "ruff", "check", "--quiet", ".")),
    ("ruff format", (*PYTHON, "ruff", "format", "--check", "--quiet", ".")),
    # Not ".": services, orchestrator and clients are seen through the links in l3sim/.
    ("mypy", (*PYTHON, "mypy", "l3sim", "tests", "benchmarks", "scripts", "docs/examples")),
    (
        "import contracts",
        # import-linter has no __main__; its script in .venv/bin would break when the folder moves.
        (sys.executable, "-P", "-c", "from importlinter.cli import lint_imports_command as run; run()"),
    ),
    ("stubs match proto", (sys.executable, "scripts/gen_protos.py", "--check")),
)


#: Not in the fast selection: what starts processes or environments, or computes for seconds.
LATER = (
    "tests/benchmarks",
    "tests/compose",
    "tests/l3sim/conformance/test_suite.py",
    "tests/l3sim/launch/compare/test_app.py",
    "tests/l3sim/launch/probe/test_dimm_pim.py",
    "tests/l3sim/launch/probe/test_spread.py",
    "tests/l3sim/launch/test_api.py",
    "tests/l3sim/launch/test_launcher.py",
    "tests/l3sim/launch/test_run.py",
    "tests/l3sim/launch/test_signals.py",
    "tests/l3sim/launch/test_up.py",
    "tests/l3sim/test_jit.py",
    "tests/l3sim/transport/convert/test_session.py",
    "tests/l3sim/transport/test_grpc_port.py",
    "tests/l3sim/transport/test_server.py",
    "tests/orchestrator/engine/planning/test_decisions.py",
    "tests/orchestrator/engine/planning/test_regret.py",
    "tests/orchestrator/engine/prediction/learning/test_learned.py",
    "tests/orchestrator/engine/test_replica.py",
    "tests/orchestrator/run/test_job.py",
    "tests/orchestrator/run/test_warmup.py",
    "tests/orchestrator/test_joined.py",
    "tests/orchestrator/test_main.py",
    "tests/orchestrator/test_properties.py",
    "tests/packaging",
    "tests/scenarios",
    "tests/scripts",
    "tests/services/dimm_pim/functional/test_attention.py",
    "tests/services/dimm_pim/test_device.py",
    "tests/services/dimm_pim/test_levels.py",
    "tests/services/dram/command/test_checker.py",
    "tests/services/dram/command/test_plain.py",
    "tests/services/dram/fast/test_table.py",
    "tests/services/dram/fast/test_table_cache.py",
    "tests/services/hbm_pim/test_channel.py",
    "tests/services/test_imports.py",
    "tests/test_docs.py",
    "tests/test_repository.py",
)
FAST = ("-m", "not slow and not docker and not data", *(f"--ignore={path}" for path in LATER))
#: Run by themselves where tests run side by side: dozens of containers need all cores.
ALONE = "tests/compose"
OLDEST = "requirements-oldest.lock"
OLDEST_VENV = ".venv-oldest"


@dataclass(frozen=True)
class Selection:
    """Which tests, and how.

    Attributes:
        arguments: of pytest, which then runs without the gates.
        fast: the selection that takes less than a minute on two cores, and all gates.
        coverage: measure which lines run, in processes too, and print a table at the end.
        oldest: the fast selection with the oldest dependencies allowed, in an environment of its own.
        workers: processes that run tests side by side; 0: one a core, and one alone for chosen tests.
    """

    arguments: Sequence[str] = ()
    fast: bool = False
    coverage: bool = False
    oldest: bool = False
    workers: int = 0

    def pytest(self) -> list[list[str]]:
        """Arguments of each run of pytest."""
        chosen = list(FAST) if self.fast or self.oldest else []
        workers = self.workers or (1 if self.arguments and not chosen else os.cpu_count() or 1)
        if workers == 1:
            return [[*chosen, *self.arguments]]
        apart = ["-n", str(workers), "--dist", "loadfile", "--quiet", *chosen]
        if chosen or self.arguments:
            return [[*apart, *self.arguments]]
        return [[*apart, f"--ignore={ALONE}"], [ALONE]]


def run_tests(selection: Selection) -> int:
    """Run every gate, then the tests; with arguments, or the oldest dependencies, only pytest.

    Each gate runs whatever came of the others. pytest speaks last: its summary lists what was skipped
    and why.

    Returns: an exit code, 0 when all is well.

    Raises:
        InvalidInput: the package is installed without its repository.
    """
    root = checkout()
    if root is None:
        raise InvalidInput(
            ("test", "the tests are not installed; run ./l3 test in a checkout of the repository")
        )
    only_tests = selection.arguments or selection.oldest
    failed = [] if only_tests else [name for name, command in GATES if not _passes(name, command, root)]
    python = _oldest(root) if selection.oldest else PYTHON
    measured = (*python, "coverage", "run", "-m") if selection.coverage else python
    codes = [_run((*measured, "pytest", *arguments), root) for arguments in selection.pytest()]
    if selection.coverage:
        codes += [
            _run((*python, "coverage", *words), root) for words in (("combine", "--quiet"), ("report",))
        ]
    if failed:
        print(f"l3: error: failed before the tests: {', '.join(failed)}", file=sys.stderr, flush=True)
    return next((code for code in codes if code), 1 if failed else 0)


def _run(command: Sequence[str], root: Path) -> int:
    return subprocess.run(command, cwd=root, check=False).returncode


def _oldest(root: Path) -> tuple[str, ...]:
    """Python with the oldest dependencies that pyproject.toml allows.

    Raises:
        L3Error: they could not be installed; the lines above say why.
    """
    set_up = (sys.executable, str(root / "l3sim" / "launch" / "bootstrap.py"), OLDEST, OLDEST_VENV)
    if _run(set_up, root) != 0:
        raise L3Error(f"cannot make {OLDEST_VENV}; the lines above say why")
    return (str(root / OLDEST_VENV / "bin" / "python"), *PYTHON[1:])


def _passes(name: str, command: Sequence[str], root: Path) -> bool:
    begin = time.monotonic()
    done = subprocess.run(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    verdict = "ok" if done.returncode == 0 else "FAILED"
    print(f"{name}: {verdict} ({time.monotonic() - begin:.1f} s)", flush=True)
    if done.returncode != 0:
        print(done.stdout, flush=True)
    return done.returncode == 0

"""`./l3 test`: every gate of the project, the same by hand and in CI."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from l3sim.errors import InvalidInput
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


def run_tests(arguments: Sequence[str] = ()) -> int:
    """Run every gate, then every test; with arguments, only pytest with them.

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
    failed = [] if arguments else [name for name, command in GATES if not _passes(name, command, root)]
    tests = subprocess.run([*PYTHON, "pytest", *arguments], cwd=root, check=False)
    if failed:
        print(f"l3: error: failed before the tests: {', '.join(failed)}", file=sys.stderr, flush=True)
    return tests.returncode or (1 if failed else 0)


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

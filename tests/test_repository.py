"""What holds for every file of the repository."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 300
MAX_FUNCTION_LINES = 50

# Written in pieces, so that this file does not contain what it looks for.
REGISTRIES = [
    ".".join(name)
    for name in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("crates", "io"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("debian", "org"),
        ("proxy", "golang", "org"),
        ("anaconda", "org"),
    )
]
#: Folders of the computers that this was written on.
MACHINE_PATH = re.compile(r"(?<![A-Za-z0-9_.])/(work|root|farm|opt/wheels|home/\w+)/")
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-oldest.lock")
PINNED = re.compile(r"[a-z0-9-]+==\S+( ; .+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def files() -> list[Path]:
    """Everything that is, or with the next `git add` would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def texts() -> list[tuple[str, str]]:
    found = []
    for path in files():
        data = path.read_bytes()
        if b"\0" not in data:
            found.append((str(path.relative_to(ROOT)), data.decode()))
    return found


def own_python() -> list[tuple[str, str]]:
    return [(name, text) for name, text in texts() if name.endswith(".py") and "/v1/" not in name]


def test_the_repository_is_seen() -> None:
    names = {name for name, _ in texts()}
    assert {"l3", "pyproject.toml", "proto/l3sim/v1/device.proto", "tests/test_repository.py"} <= names
    assert not any(name.startswith((".venv", ".l3/")) for name in names)


def test_no_registry_and_no_folder_of_one_computer_is_named() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if any(host in line for host in REGISTRIES) or MACHINE_PATH.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_version_has_hashes_and_nothing_else_is_in_a_lock(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    pinned = 0
    for before, line in zip(["", *lines], lines, strict=False):
        if HASH.fullmatch(line):
            assert before.endswith("\\"), line
        else:
            assert PINNED.fullmatch(line), line
            assert not before.endswith("\\"), f"{before} has no hash"
            pinned += 1
    assert pinned > 30
    assert HASH.fullmatch(lines[-1])


def locked(name: str) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if PINNED.fullmatch(line):
            package, _, rest = line.partition("==")
            versions.setdefault(package, set()).add(rest.removesuffix(" \\"))
    return versions


def test_locks_hold_what_the_project_asks_for_and_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run, dev = locked(LOCKS[0]), locked(LOCKS[1])
    for wanted, lock in (
        (project["project"]["dependencies"], run),
        (project["dependency-groups"]["dev"], dev),
    ):
        for requirement in wanted:
            package = re.split(r"[<>=!~ \[]", requirement)[0].lower().replace(".", "-").replace("_", "-")
            assert package in lock, f"{package} is not locked; run scripts/lock.sh"
    assert {package: dev.get(package) for package in run} == run


def test_the_oldest_lock_holds_the_lower_bound_of_each_requirement() -> None:
    oldest = locked(LOCKS[2])
    for requirement in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        package, _, bounds = requirement.partition(">=")
        (version,) = {one.partition(" ;")[0] for one in oldest[package]}
        lower = bounds.partition(",")[0]
        assert f"{version}.".startswith(f"{lower}."), requirement


def test_every_requirement_has_both_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for requirement in project["project"]["dependencies"]:
        assert re.search(r">=[^,]+,<", requirement), requirement


def test_python_files_are_short() -> None:
    long = {name: count for name, text in own_python() if (count := len(text.splitlines())) > MAX_LINES}
    assert long == {}


def test_functions_are_short() -> None:
    long = []
    for name, text in own_python():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                docstring = ast.get_docstring(node, clean=False)
                lines -= docstring.count("\n") + 1 if docstring else 0
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{name}:{node.lineno}: {node.name} has {lines} lines")
    assert long == []


def test_nothing_is_left_for_later() -> None:
    marks = re.compile("#.*" + r"\b(TO" + r"DO|FIX" + "ME|XX" + r"X)\b|NotImplemented" + "Error")
    ours = [(name, text) for name, text in own_python() if not name.startswith("tests/")]
    assert [name for name, text in ours if marks.search(text)] == []


def test_licence_is_the_one_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert len(text.splitlines()) > 190


@pytest.mark.parametrize("name", ["l3", ".ci/run", "scripts/lock.sh"])
def test_scripts_are_executable_and_parse(name: str) -> None:
    script = ROOT / name
    assert script.stat().st_mode & 0o111 == 0o111
    shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
    subprocess.run([shell, "-n", script], check=True)


def test_ci_runs_what_people_run() -> None:
    assert "exec ./l3 test" in (ROOT / ".ci" / "run").read_text()


def test_import_contracts_hold() -> None:
    command = "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"[1-9]\d* kept, 0 broken", done.stdout), done.stdout


def test_stubs_are_what_the_contract_gives() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/gen_protos.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

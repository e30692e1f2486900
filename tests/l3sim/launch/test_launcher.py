"""The `l3` script and its set-up, on a small tree of its own whose lock files ask for next to nothing."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.root import ROOT

#: A loaded computer takes its time to make an environment; nothing here is timed, only bounded.
DEADLINE_S = 400.0
pytestmark = pytest.mark.timeout(900)

MAIN = """
import os, sys
import l3sim
print(sys.argv[1:], os.getcwd(), sys.prefix, l3sim.__path__[0])
"""

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "l3sim"
version = "0"

[tool.setuptools.packages.find]
include = ["l3sim*"]
"""


def build_tools() -> str:
    """The one package that an installation needs, as the real lock pins it."""
    found = re.search(r"^setuptools==.*\n(?: .*\n)+", (ROOT / "requirements.lock").read_text(), re.M)
    assert found
    return found[0]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A launcher with its own root, whose package only says how it was called."""
    root = tmp_path_factory.mktemp("tree")
    (root / "l3sim" / "launch").mkdir(parents=True)
    for name in ("l3", "l3sim/launch/bootstrap.py"):
        shutil.copy(ROOT / name, root / name)
    (root / "l3sim" / "__init__.py").touch()
    (root / "l3sim" / "__main__.py").write_text(MAIN)
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "requirements.lock").write_text(build_tools())
    (root / "requirements-dev.lock").write_text(f"# for developers\n{build_tools()}")
    return root


def call(tree: Path, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [tree / "l3", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def result(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, out, err


def test_two_first_starts_install_once_and_both_run(tree: Path, tmp_path: Path) -> None:
    answers = [result(process) for process in [call(tree, "a b", cwd=tmp_path) for _ in range(2)]]
    said = f"['a b'] {tmp_path} {tree / '.venv'} {tree / 'l3sim'}\n"
    assert [(code, out) for code, out, _ in answers] == [(0, said)] * 2
    quiet, loud = sorted(err for _, _, err in answers)
    assert quiet == ""
    assert loud.splitlines() == [
        f"l3: making {tree / '.venv'} (once)",
        "l3: fetching packages of requirements.lock",
        "l3: installing packages of requirements.lock",
        f"l3: installing {tree}",
    ]

    # From then on it is quiet; a link to it works from anywhere; a file in the user's folder shadows nothing.
    link = tmp_path / "linked"
    link.symlink_to(tree / "l3")
    (tmp_path / "l3sim.py").write_text("print('shadow')")
    done = subprocess.run([link, "x"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.stderr) == (f"['x'] {tmp_path} {tree / '.venv'} {tree / 'l3sim'}\n", "")


def test_test_installs_the_development_lock_which_holds_the_other(tree: Path) -> None:
    assert "packages of requirements-dev.lock" in result(call(tree, "test"))[2]
    assert result(call(tree))[2] == ""
    assert result(call(tree, "test"))[2] == ""


def test_a_changed_lock_is_installed_into_the_same_environment(tree: Path) -> None:
    result(call(tree))
    keep = tree / ".venv" / "keep"
    keep.touch()
    (tree / "requirements.lock").write_text(f"# changed\n{build_tools()}")
    err = result(call(tree))[2]
    assert err == "l3: fetching packages of requirements.lock\n"  # it is there already
    assert keep.exists()


def test_a_changed_project_is_installed_anew_without_its_packages(tree: Path) -> None:
    result(call(tree))
    with (tree / "pyproject.toml").open("a") as project:
        project.write("# changed\n")
    assert result(call(tree))[2] == f"l3: installing {tree}\n"


def test_a_checkout_that_was_moved_runs_its_own_code(tree: Path, tmp_path: Path) -> None:
    result(call(tree))
    moved = tmp_path / "moved"
    shutil.move(tree, moved)
    try:
        said = f"[] {tmp_path} {moved / '.venv'} {moved / 'l3sim'}\n"
        assert result(call(moved, cwd=tmp_path)) == (0, said, f"l3: installing {moved}\n")
        assert result(call(moved, cwd=tmp_path)) == (0, said, "")
    finally:
        shutil.move(moved, tree)
    # And back again.
    assert result(call(tree))[1].endswith(f"{tree / 'l3sim'}\n")


def test_on_a_terminal_progress_is_one_line_that_goes_away(tree: Path) -> None:
    shutil.rmtree(tree / ".venv", ignore_errors=True)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([tree / "l3"], stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown = ""
    with contextlib.suppress(OSError):  # what Linux answers at the end of a terminal
        while data := os.read(ours, 65536):
            shown += data.decode()
    os.close(ours)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "\n" not in shown
    assert "l3: installing packages of requirements.lock (1/1) setuptools" in shown
    assert shown.endswith("\r\x1b[K")


def test_an_interrupted_installation_is_begun_anew(tree: Path) -> None:
    result(call(tree))
    keep = tree / ".venv" / "half"
    keep.touch()
    (tree / ".venv" / "unfinished").touch()
    (tree / ".venv" / "requirements.lock").unlink()
    assert result(call(tree))[0] == 0
    assert not keep.exists()


def test_a_failed_installation_says_why_in_its_last_line_and_leaves_no_stamp(tree: Path) -> None:
    lock = tree / "requirements.lock"
    good = lock.read_text()
    lock.write_text("numpy\n")  # no version, no hash
    code, out, err = result(call(tree))
    lock.write_text(good)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("l3: error: cannot install requirements.lock: ")
    assert (tree / ".venv" / "unfinished").exists()


def test_without_python_it_says_what_to_do(tree: Path, tmp_path: Path) -> None:
    for tool in ("dirname", "readlink", "cmp", "pwd"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/false")
    shutil.rmtree(tree / ".venv", ignore_errors=True)
    code, out, err = result(call(tree, env={"PATH": str(tmp_path)}))
    assert (code, out) == (1, "")
    assert err == (
        "l3: error: needs Python 3.11 or newer and found none; install one, or name one: "
        "PYTHON=/path/to/python3 ./l3\n"
    )


def test_a_python_that_was_named_but_is_none_is_refused(tree: Path) -> None:
    shutil.rmtree(tree / ".venv", ignore_errors=True)
    code, out, err = result(call(tree, env={**os.environ, "PYTHON": "/bin/false"}))
    assert (code, out, err) == (1, "", "l3: error: PYTHON=/bin/false is no Python 3.11 or newer\n")


def test_a_python_without_venv_is_named(tree: Path, tmp_path: Path) -> None:
    # What Debian's python3 without python3-venv looks like to the launcher.
    python = tmp_path / "python-without-venv"
    python.write_text(
        "#!/bin/sh\n"
        'case $1 in -c) exec "$REAL" "$@";; esac\n'
        'exec "$REAL" -c \'import sys, runpy, importlib.util as u; real = u.find_spec; '
        'u.find_spec = lambda name, *rest: None if name == "ensurepip" else real(name, *rest); '
        'sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")\' "$@"\n'
    )
    python.chmod(0o755)
    shutil.rmtree(tree / ".venv", ignore_errors=True)
    real = shutil.which("python3") or ""
    code, _, err = result(call(tree, env={**os.environ, "PYTHON": str(python), "REAL": real}))
    assert code == 1
    assert err.splitlines()[-1].startswith("l3: error: ")
    assert "has no ensurepip module; install it (Debian: apt install python3." in err

"""The `l3` script and its set-up, on a small tree of its own with lock files that ask for nothing."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.root import ROOT

MAIN = """
import os, sys
print(sys.argv[1:], os.getcwd(), sys.prefix, os.environ["PYTHONPATH"])
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A launcher with its own root, whose `launch` package only says how it was called."""
    root = tmp_path_factory.mktemp("tree")
    (root / "launch").mkdir()
    for name in ("l3", "l3sim/launch/bootstrap.py"):
        shutil.copy(ROOT / name, root / name)
    (root / "launch" / "__main__.py").write_text(MAIN)
    (root / "requirements.lock").write_text("# nothing\n")
    (root / "requirements-dev.lock").write_text("# nothing for developers\n")
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
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_two_first_starts_install_once_and_both_run(tree: Path, tmp_path: Path) -> None:
    answers = [result(process) for process in [call(tree, "a b", cwd=tmp_path) for _ in range(2)]]
    said = f"['a b'] {tmp_path} {tree / '.venv'} {tree}\n"
    assert [(code, out) for code, out, _ in answers] == [(0, said)] * 2
    assert sorted(err.count("installing requirements.lock") for _, _, err in answers) == [0, 1]
    assert all(err.count("\n") <= 1 for _, _, err in answers)

    # From then on it is quiet; a link to it works from anywhere; a file in the user's folder shadows nothing.
    link = tmp_path / "linked"
    link.symlink_to(tree / "l3")
    (tmp_path / "launch.py").write_text("print('shadow')")
    done = subprocess.run([link, "x"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.stderr) == (f"['x'] {tmp_path} {tree / '.venv'} {tree}\n", "")


def test_test_installs_the_development_lock_which_holds_the_other(tree: Path) -> None:
    assert "installing requirements-dev.lock" in result(call(tree, "test"))[2]
    assert result(call(tree))[2] == ""
    assert result(call(tree, "test"))[2] == ""


def test_a_changed_lock_is_installed_into_the_same_environment(tree: Path) -> None:
    result(call(tree))
    keep = tree / ".venv" / "keep"
    keep.touch()
    (tree / "requirements.lock").write_text("# still nothing\n")
    assert "installing requirements.lock" in result(call(tree))[2]
    assert keep.exists()


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

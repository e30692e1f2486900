"""How far an installation is, by what pip prints and by what lies in the environment."""

import io
from pathlib import Path

import pytest

from l3sim.launch.bootstrap import Packages, Progress

LOCK = """\
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:00
numba==0.66.0 \\
    --hash=sha256:00
numpy==2.2.0 \\
    --hash=sha256:00
"""
IGNORED = "Ignoring colorama: markers 'sys_platform == \"win32\"' don't match your environment\n"
NUMBA = "Collecting numba==0.66.0 (from -r requirements.lock (line 3))\n"
THERE = "Requirement already satisfied: numpy==2.2.0 in lib (from -r requirements.lock (line 5))\n"
ORDER = "Installing collected packages: numpy, numba\n"


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    lock = tmp_path / "requirements.lock"
    lock.write_text(LOCK)
    arrive(tmp_path, "pip-23")
    return Packages(lock, tmp_path)


def arrive(venv: Path, name: str) -> None:
    (venv / "lib" / "python3.11" / "site-packages" / f"{name}.dist-info").mkdir(parents=True)


@pytest.mark.parametrize(
    ("printed", "state"),
    [
        ("", ("fetching packages of requirements.lock", "")),
        (IGNORED + NUMBA, ("fetching packages of requirements.lock", "(1/2) numba")),
        (IGNORED + NUMBA + THERE, ("fetching packages of requirements.lock", "(2/2) numpy")),
        (IGNORED + NUMBA + ORDER, ("installing packages of requirements.lock", "(1/2) numpy")),
    ],
)
def test_packages_are_counted_as_pip_names_them(
    packages: Packages, printed: str, state: tuple[str, str]
) -> None:
    assert packages.state(printed) == state


def test_while_pip_is_silent_they_are_counted_where_they_arrive(packages: Packages, tmp_path: Path) -> None:
    what = "installing packages of requirements.lock"
    arrive(tmp_path, "numpy-2.2.0")
    assert packages.state(ORDER) == (what, "(2/2) numba")
    arrive(tmp_path, "numba-0.66.0")
    assert packages.state(ORDER) == (what, "(2/2) numba")


def test_elsewhere_than_on_a_terminal_a_line_says_what_begins() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for what, detail in (("fetching", "(1/2)"), ("fetching", "(2/2)"), ("installing", "(1/2)")):
        progress.show(what, detail)
    progress.end()
    assert stream.getvalue() == "l3: fetching\nl3: installing\n"


def test_on_a_terminal_one_line_changes_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "18")
    progress = Progress(stream)
    progress.show("fetching", "(1/2) numba")
    progress.show("fetching", "(1/2) numba")
    progress.end()
    assert stream.getvalue() == "\rl3: fetching (1/2\x1b[K\r\x1b[K"

"""`./l3 test`: all gates run, all are told, any failure is one of the whole."""

import sys
from pathlib import Path

import pytest

from l3sim.launch import gates
from tests.root import ROOT

OK = ("fine", (sys.executable, "-c", "print('not shown')"))
BAD = ("wrong", (sys.executable, "-c", "import sys; print('why'); sys.exit(4)"))


@pytest.mark.parametrize(
    ("chosen", "tests", "code", "lines"),
    [
        ([OK], 0, 0, ["fine: ok", "tests"]),
        ([BAD, OK], 0, 1, ["wrong: FAILED", "why", "fine: ok", "tests"]),
        ([OK], 5, 5, ["fine: ok", "tests"]),
    ],
)
def test_every_gate_runs_and_the_tests_speak_last(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    chosen: list[tuple[str, tuple[str, ...]]],
    tests: int,
    code: int,
    lines: list[str],
) -> None:
    monkeypatch.setattr(gates, "GATES", chosen)
    monkeypatch.setattr(
        gates, "PYTHON", (sys.executable, "-c", f"print('tests'); import sys; sys.exit({tests})")
    )
    assert gates.run_tests() == code
    said = capfd.readouterr()
    assert [line.partition(" (")[0] for line in said.out.splitlines() if line] == lines
    assert said.err == ("l3: error: failed before the tests: wrong\n" if BAD in chosen else "")


def test_with_arguments_only_pytest_runs(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gates, "GATES", [BAD])
    monkeypatch.setattr(gates, "PYTHON", (sys.executable, "-c", "import sys; print(sys.argv[1:])"))
    assert gates.run_tests(["tests/x", "-k", "y"]) == 0
    assert capfd.readouterr().out == "['pytest', 'tests/x', '-k', 'y']\n"


def test_the_gates_are_those_of_the_project() -> None:
    names = [name for name, _ in gates.GATES]
    assert names == ["ruff check", "ruff format", "mypy", "import contracts", "stubs match proto"]
    for _, command in gates.GATES:
        assert Path(command[0]) == Path(sys.executable)
        assert not any(str(word).startswith("scripts/") and not (ROOT / word).exists() for word in command)

"""`./l3 test`: all gates run, all are told, any failure is one of the whole."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from l3sim.errors import L3Error
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
    assert gates.run_tests(gates.Selection(workers=1)) == code
    said = capfd.readouterr()
    assert [line.partition(" (")[0] for line in said.out.splitlines() if line] == lines
    assert said.err == ("l3: error: failed before the tests: wrong\n" if BAD in chosen else "")


def test_with_arguments_only_pytest_runs(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gates, "GATES", [BAD])
    monkeypatch.setattr(gates, "PYTHON", (sys.executable, "-c", "import sys; print(sys.argv[1:])"))
    assert gates.run_tests(gates.Selection(["tests/x", "-k", "y"])) == 0
    assert capfd.readouterr().out == "['pytest', 'tests/x', '-k', 'y']\n"


def test_the_gates_are_those_of_the_project() -> None:
    names = [name for name, _ in gates.GATES]
    assert names == ["ruff check", "ruff format", "mypy", "import contracts", "stubs match proto"]
    for _, command in gates.GATES:
        assert Path(command[0]) == Path(sys.executable)
        assert not any(str(word).startswith("scripts/") and not (ROOT / word).exists() for word in command)


def test_the_fast_selection_runs_on_every_core_and_names_what_it_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    ((first, workers, *rest),) = gates.Selection(fast=True).pytest()
    assert (first, workers) == ("-n", "3")
    assert "not slow and not docker and not data" in rest
    assert "--ignore=tests/compose" in rest
    assert [path for path in gates.LATER if not (ROOT / path).exists()] == []


def test_side_by_side_containers_come_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    apart, alone = gates.Selection().pytest()
    assert apart[:2] == ["-n", "2"]
    assert "--ignore=tests/compose" in apart
    assert alone == ["tests/compose"]
    assert gates.Selection(workers=1).pytest() == [[]]
    assert gates.Selection(["tests/clients"]).pytest() == [["tests/clients"]]
    assert len(gates.Selection(["tests/clients"], workers=2).pytest()) == 1


def test_coverage_is_combined_and_told_after_the_tests(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gates, "GATES", [])
    monkeypatch.setattr(gates, "PYTHON", (sys.executable, "-c", "import sys; print(sys.argv[1:])"))
    assert gates.run_tests(gates.Selection(["tests/x"], coverage=True)) == 0
    assert capfd.readouterr().out.splitlines() == [
        "['coverage', 'run', '-m', 'pytest', 'tests/x']",
        "['coverage', 'combine', '--quiet']",
        "['coverage', 'report']",
    ]


def test_the_oldest_dependencies_have_an_environment_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []

    def run(command: Sequence[str], root: Path) -> int:
        ran.append(tuple(command))
        return 0

    monkeypatch.setattr(gates, "_run", run)
    assert gates.run_tests(gates.Selection(oldest=True)) == 0
    install, tests = ran
    assert install[1:] == (
        str(ROOT / "l3sim" / "launch" / "bootstrap.py"),
        "requirements-oldest.lock",
        ".venv-oldest",
    )
    assert tests[0] == str(ROOT / ".venv-oldest" / "bin" / "python")
    monkeypatch.setattr(gates, "_run", lambda command, root: 1)
    with pytest.raises(L3Error, match="cannot make"):
        gates.run_tests(gates.Selection(oldest=True))

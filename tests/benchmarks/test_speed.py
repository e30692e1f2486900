"""The benchmark runs and adds up; how fast it is, is no test's business."""

import json
from pathlib import Path

import pytest

from benchmarks import speed, table
from benchmarks.meter import part_of, run, summary
from l3sim.transport.serve import SERVE


def test_every_run_has_a_command(tmp_path: Path) -> None:
    for name in speed.RUNS:
        assert "--machine" in speed.command(name, tmp_path)


def test_machines_of_another_size(tmp_path: Path) -> None:
    words = speed.command("modules-4-grpc", tmp_path)
    text = Path(words[words.index("--machine") + 1]).read_text()
    assert "modules: {value: 4," in text


def test_a_measured_run_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    measured = run(["fixed:16:8", "--machine", "l3-mini", "--requests", "4", "--in-process"])
    figures = summary("small", measured)
    assert figures["requests"] == 4
    assert figures["iterations"] == 8
    assert figures["invariants"] == "ok"
    assert sum(figures["ms_per_window_by_part"].values()) == pytest.approx(figures["ms_per_window"])
    assert "| small | 4 | 8 |" in table.table(table.HEAD, [table.row(json.loads(json.dumps(figures)))])


def test_parts_are_told_apart_by_what_they_run() -> None:
    modules = ["python", "-P", *SERVE, "l3sim.services.dimm_pim.device:DimmPimDevice", "--machine", "m"]
    assert part_of(modules) == "dimm_pim"
    assert part_of(["python", "-P", "-m", "l3sim", "run", "openr1"]) == "launcher"
    assert part_of(["something", "else"]) == "other"

"""`./l3 compare` from its command line: ratios, refusals, files."""

import csv
import json
from pathlib import Path

import pytest

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients.cli import main
from l3sim.launch.compare.jobs import run_one

JOB = ["compare", "fixed:64:8", "--requests", "4", "--workers", "1", "--policy", "auto"]
SLOWER = "extends: l3-mini\nname: slower\ndescription: a slower host\nhost: {schedule_us: 500}\n"


@pytest.fixture
def slower(tmp_path: Path) -> str:
    (tmp_path / "slower.yaml").write_text(SLOWER)
    return str(tmp_path / "slower.yaml")


def test_ratios_files_and_whole_reports(
    slower: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, plot = tmp_path / "a.csv", tmp_path / "a.svg"
    words = [*JOB, "--machine", "l3-mini", "--machine", slower, "--json"]
    assert main([*words, "--csv", str(table), "--plot", str(plot)]) == 0
    first, second = json.loads(capsys.readouterr().out)["machines"]
    assert (first["machine"], second["machine"]) == ("l3-mini", "slower")
    assert first["policy"] == second["policy"] == "adaptive"
    assert first["throughput_tokens_per_s_ratio"] == 1
    measured = [one["report"]["throughput_tokens_per_s"] for one in (first, second)]
    assert second["throughput_tokens_per_s_ratio"] == measured[1] / measured[0] < 1
    with table.open() as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["throughput_tokens_per_s"]) for row in rows] == measured
    assert "<svg" in plot.read_text()
    again = tmp_path / "b.svg"
    assert main([*words, "--plot", str(again)]) == 0
    assert again.read_bytes() == plot.read_bytes()


def test_a_machine_that_refuses_says_why_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*JOB, "--model", "llama-2-70b", "--machine", "l3-mini", "--machine", "l3-dgx-a100"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "l3-mini refused: model: llama-2-70b needs 138.0 GB of weights" in out
    (line,) = [line for line in out.splitlines() if line.startswith("l3-dgx-a100 ")]
    assert "(1)" in line


def test_when_nobody_can_run_it_the_exit_code_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*JOB, "--model", "gpt-175b", "--machine", "l3-mini"]) == 2
    assert main([*JOB, "--machine", "l3-min"]) == 2
    assert "unknown machine 'l3-min'" in capsys.readouterr().err


def test_a_machine_that_cannot_be_loaded_keeps_what_it_was_asked_for() -> None:
    from l3sim.clients.options import JobOptions

    found = run_one(JobOptions(requests=1).spec("fixed:1:1"), "l3-min", "")
    assert (found.machine, found.exit_code) == ("l3-min", 2)
    assert found.report is None

"""Behind docs/generated/promise.md: which runs there are, a small one of each role, the page."""

import json
from pathlib import Path

import pytest

from benchmarks import promise
from benchmarks.promise_page import page


def test_each_cell_has_its_gpus_alone_and_names_differ() -> None:
    runs = list(promise.runs())
    assert len({run.name for run in runs}) == len(runs)
    cells = {run.cell for run in runs}
    for role in ("GPUs alone", "adaptive", "bounded"):
        assert {run.cell for run in runs if run.role == role} == cells
    models = {"qwen-72b", "opt-66b", "gpt-175b"}
    assert len([cell for cell in cells if cell.startswith("a100") and cell.split(", ")[1] in models]) == 12


def test_small_runs_make_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ["--only", "a100, qwen-72b, dolphin-short", "--requests", "4"]
    results = tmp_path / "results.jsonl"
    text = ""
    for role in (", GPUs alone", ", adaptive", "l3 defaults TP 8"):
        assert promise.main([*only, "--only", role]) == 0
        text += capsys.readouterr().out
    results.write_text(text)
    assert promise.main([*only, "--only", ", bounded", "--skip", str(results)]) == 0
    results.write_text(text + capsys.readouterr().out)
    found = [json.loads(line) for line in results.read_text().splitlines()]
    assert [one["role"] for one in found] == ["GPUs alone", "adaptive", "l3 defaults TP 8", "bounded"]
    assert found[3]["bound_s"] == found[0]["gap_p99_s"]
    (beside,) = [line for line in page(found).splitlines() if line.startswith("| a100")][:1]
    assert beside.count("|") == 10
    assert "| 1.00 |" in beside


def test_what_was_refused_is_shown() -> None:
    base = {"cell": "a100, m, w", "machine": "x", "refused": "no room"}
    shown = page([{**base, "role": "GPUs alone"}, {**base, "role": "adaptive"}])
    assert "| a100, m, w | refused | refused | - |" in shown

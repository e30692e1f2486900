"""The runs behind docs/scheduling.md, and the page made of their results."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scheduling import PARTS, Run, main, measure
from benchmarks.scheduling_page import page


def test_every_run_is_told_apart_by_its_key() -> None:
    keys = [tuple(run.key) for part in PARTS.values() for run in part()]
    assert len(keys) == len(set(keys)) > 500


def test_the_list_is_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "memory", "--only", "dolphin-short"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 * 6 * 3
    assert lines[0].endswith(
        "./l3 run dolphin-short --model gpt-175b --policy l3 --set attention.memory_share=0.1 --in-process"
    )


def test_a_run_gives_its_row_or_says_why_not() -> None:
    small = Run("memory", "llama-2-7b", "fixed:16:4", "l3", "1", more=("--machine", "l3-mini"))
    found = measure(small, requests=3)
    assert found["command"].startswith("./l3 run fixed:16:4 --model llama-2-7b")
    assert found["requests"] == 3
    assert found["report"]["throughput_tokens_per_s"] > 0
    refused = measure(Run("memory", "gpt-175b", "fixed:16:4", "l3", "1", more=("--machine", "l3-mini")), 3)
    assert "needs 349.2 GB" in refused["refused"]


def result(part: str, policy: str, row: str, speed: float, **report: Any) -> dict[str, Any]:
    figures = {
        "throughput_tokens_per_s": speed,
        "tbt_s": {"p50": 0.01, "p99": 0.02},
        "ttft_s": {"p50": 1.0, "p99": 2.0},
        "batch": {"mean_requests": 7.0},
        "utilization": {"gpu": 0.5, "attention": 0.25},
        "bubbles": {"gpu": 0.5, "attention": 0.75},
        "saturated": False,
    }
    key = [part, "opt-66b", "openr1", policy, row]
    return {"key": key, "command": f"./l3 run {policy} {row}", "report": {**figures, **report}}


def test_the_page_says_what_was_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = [
        result("memory", "l3", "0.5", 90.0),
        result("memory", "fill", "0.5", 100.0),
        {"key": ["memory", "opt-66b", "openr1", "fill", "0.1"], "command": "./l3 run", "refused": "too long"},
        result("options", "l3", "defaults", 90.0),
        result("options", "l3", "step=16", 45.0),
        result("load", "fill", "8", 10.0, saturated=True),
    ]
    text = page(results)
    assert "## Less memory" in text
    assert (
        "- `l3` against `fill` in 1 cases: throughput x 0.90 at the median (0.90 to 0.90), higher in 0"
        in text
    )
    assert "- 1 of 3 runs are refused" in text
    assert "- `step=16` against `defaults` in 1 cases: throughput x 0.50" in text
    assert "| 0.5 | l3 | 90.0 | 10.0 | 20.0 | 7.0 | 0.500 | 0.250 | 0.500 | 0.750 |" in text
    assert "| 0.1 | fill | refused |" in text
    assert "| 8 | fill | 10.0 | 1.000 | 2.000 | 20.0 | saturated |" in text
    assert "Ranksets" not in text
    path = tmp_path / "results.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in results))
    assert main(["--page", str(path)]) == 0
    assert capsys.readouterr().out == text


def test_what_was_run_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(f"{json.dumps(result('policies', 'fill', 'fill', 1.0))}\n")
    words = ["--list", "policies", "--only", "opt-66b"]
    assert main(words) == 0
    whole = capsys.readouterr().out.splitlines()
    assert main([*words, "--skip", str(path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(whole) - 1

"""The runs behind docs/generated/scheduling.md, and the page made of their results."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.meter import ROOT
from benchmarks.scheduling import AS_BUILT, FEWER, PARTS, WHOLE, Run, job_of, main, read, series, words_of
from benchmarks.scheduling_page import page
from l3sim.placement import kv_room_bytes, layout_of
from l3sim.specs.catalog import load_machine, load_model


def test_every_run_is_told_apart_by_its_key() -> None:
    keys = [tuple(run.key) for part in PARTS.values() for run in part()]
    assert len(keys) == len(set(keys)) > 500


def test_the_list_is_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "memory", "--only", "dolphin-short"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 * 5 * 3
    assert lines[0].endswith(
        "./l3 run dolphin-short --model gpt-175b --policy l3 --set attention.memory_share=0.1 --in-process"
    )


def test_models_and_workloads_that_are_named_must_both_fit(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--list", "policies", "--only", "opt-66b", "--only", "dolphin-short", "--only", "openr1"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 5
    assert all("--model opt-66b" in line for line in lines)


def test_a_run_gives_its_row_or_says_why_not() -> None:
    small = Run("memory", "llama-2-7b", "fixed:16:4", "l3", "1", more=("--machine", "l3-mini"))
    large = Run("memory", "gpt-175b", "fixed:16:4", "l3", "1", more=("--machine", "l3-mini"))
    rows = {row["key"][1]: row for row in series([small, large], 3, {}, workers=2)}
    found, refused = rows["llama-2-7b"], rows["gpt-175b"]
    assert found["command"].startswith("./l3 run fixed:16:4 --model llama-2-7b")
    assert found["requests"] == 3
    assert found["report"]["throughput_tokens_per_s"] > 0
    assert "needs 349.2 GB" in refused["refused"]


def test_what_is_left_out_of_a_job_changes_nothing() -> None:
    model = load_model("gpt-175b")

    def seen(settings: set[str]) -> list[Any]:
        pairs = [one.split("=") for one in settings]
        machine = load_machine("l3-dgx-a100").with_settings(
            [(name, json.loads(text)) for name, text in pairs]
        )
        layout = layout_of(machine.attention, model, 8, 1)
        return [layout, machine.attention.modules, kv_room_bytes(machine.attention, layout, model)]

    for settings in AS_BUILT:
        assert seen(settings) == seen(set())
    for count in (4, 8):
        assert seen({f"attention.ranksets={count}", WHOLE}) == seen({f"attention.ranksets={count}"})
    for fewer in FEWER:
        assert seen({fewer, WHOLE}) != seen({fewer})


def test_rows_that_are_the_same_job_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []

    def note(words: Any) -> dict[str, Any]:
        ran.append(words)
        return {"refused": "no time"}

    monkeypatch.setattr("benchmarks.scheduling.measure", note)
    runs = [run for part in PARTS.values() for run in part() if run.key[1:3] == ["qwen-72b", "openr1"]]
    rows = list(series(runs, None, {}, workers=1))
    assert sorted(row["key"] for row in rows) == sorted(run.key for run in runs)
    # Of each policy: the whole memory, 4 ranksets twice, the whole machine, and 8 ranksets once; of l3 also
    # the defaults and step=16, which is N under GQA.
    assert len(runs) - len(ran) == 3 * (3 + 1) + 2
    known = {job_of(words_of(run, None)): {"refused": "before"} for run in runs[:1]}
    again = list(series(runs[:2], None, known, workers=1))
    assert [row["refused"] for row in again] == ["before", "no time"]
    assert again[0]["command"].startswith("./l3 run openr1 --model qwen-72b")


def test_the_number_of_requests_makes_another_job() -> None:
    run = next(PARTS["memory"]())
    assert job_of(words_of(run, 3)) != job_of(words_of(run, None))


def test_traces_are_named_from_the_root_of_the_tree() -> None:
    words = next(PARTS["load"]()).words
    assert (ROOT / words[1]).name == "AzureLLMInferenceTrace_conv.csv"
    assert words[1].startswith("..")


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


def test_the_page_says_what_was_seen() -> None:
    results = [
        result("memory", "l3", "0.5", 90.0),
        result("memory", "fill", "0.5", 100.0),
        {"key": ["memory", "opt-66b", "openr1", "fill", "0.1"], "command": "./l3 run", "refused": "too long"},
        result("options", "l3", "defaults", 90.0),
        result("options", "l3", "step=16", 45.0),
        result("load", "fill", "4", 8.0),
        result("load", "fill", "8", 10.0, saturated=True),
    ]
    text = page(results)
    assert "## Less memory" in text
    assert (
        "- `l3` against `fill` in 1 cases: throughput x 0.90 at the median (0.90 to 0.90), higher in 0"
        in text
    )
    assert "Refused: 0.1 with `fill`: too long" in text
    assert "- `fill` is saturated from 8 on (not at 4), where it serves 10 tokens/s." in text
    assert "- `step=16` against `defaults` in 1 cases: throughput x 0.50" in text
    assert "| 0.5 | l3 | 90.0 | 10.0 | 20.0 | 7.0 | 0.500 | 0.250 | 0.500 | 0.750 |" in text
    assert "| 0.1 | fill | refused |" in text
    assert "| 8 | fill | 10.0 | 1.000 | 2.000 | 10.0 | 20.0 | 7.0 | saturated |" in text
    assert "Ranksets" not in text


def test_the_page_comes_with_its_plots(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    rows = [result("load", "l3", speed, 9.0, saturated=speed == "2") for speed in ("2", "0.5", "1")]
    rows += [result("memory", policy, share, 50.0) for policy in ("l3", "fill") for share in ("0.1", "1")]
    for row in rows[:3]:
        row["key"][2] = "AzureLLMInferenceTrace_conv"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    assert main(["--page", str(path), "--into", str(tmp_path)]) == 0
    text = (tmp_path / "scheduling.md").read_text()
    assert text == page(read([path]))
    named = {name for name in ("scheduling-memory.svg", "scheduling-load-conv.svg") if f"({name})" in text}
    assert {one.name for one in tmp_path.glob("*.svg")} == named
    load = (tmp_path / "scheduling-load-conv.svg").read_text()
    # A ring in each of four panels, and one that explains it.
    assert load.count("<circle") == 5
    assert "saturated" in load


def test_of_results_of_one_key_the_last_counts_and_the_series_gives_the_order(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    rows = [result("memory", "fill", "0.1", 1.0), result("memory", "l3", "0.1", 2.0)]
    first.write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    second.write_text(f"{json.dumps(result('memory', 'fill', '0.1', 3.0))}\n")
    found = read([first, second, tmp_path / "none"])
    assert [one["key"][3] for one in found] == ["l3", "fill"]
    assert found[1]["report"]["throughput_tokens_per_s"] == 3.0


def test_what_was_run_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(f"{json.dumps(result('policies', 'fill', 'fill', 1.0))}\n")
    words = ["--list", "policies", "--only", "opt-66b"]
    assert main(words) == 0
    whole = capsys.readouterr().out.splitlines()
    assert main([*words, "--skip", str(path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(whole) - 1

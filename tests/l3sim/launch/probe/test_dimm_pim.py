"""`./l3 probe dimm-pim`: fields, levels, switches, refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from l3sim.launch.cli import entry
from l3sim.launch.probe.calls import PARTS
from l3sim.specs.catalog import MODELS

SMALL = "--machine l3-mini --model llama-2-7b"


def probe(capsys: pytest.CaptureFixture[str], words: str) -> dict[str, Any]:
    assert entry(["probe", "dimm-pim", *words.split(), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def known(found: dict[str, Any]) -> float:
    return sum(found[f"{part}_us"] or 0.0 for part in PARTS)


#: Few, since each has a table of level fast built; tests/services/dram/fast samples the whole domain.
CASES = [
    f"{SMALL} --batch 8 --context 700",
    "--model qwen-72b --batch 70 --context 300",
    f"{SMALL} --batch 2 --context 900 --relayout cpu --n-hc 1 --no-pipelining",
]


@pytest.mark.parametrize("words", CASES)
def test_fast_says_what_command_says(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    fast, command = (probe(capsys, f"{words} --level {level}") for level in ("fast", "command"))
    tck_us = 625e-6
    bound = max(0.005 * command["attention_us"], 2 * tck_us)
    assert abs(fast["attention_us"] - command["attention_us"]) <= bound
    assert fast["energy_j"] == pytest.approx(command["energy_j"], rel=0.005)
    assert fast["commands"].keys() == command["commands"].keys()
    for name in ("PIM_MAC", "PIM_RD_RB", "ACT", "RD"):
        assert fast["commands"].get(name) == command["commands"].get(name)
    for found in (fast, command):
        assert known(found) == pytest.approx(found["attention_us"], rel=1e-9)
        assert sum(found["energy_parts_j"].values()) == pytest.approx(found["energy_j"], rel=1e-9)
        assert 0 < found["bus_busy"]["outer"] < 1


def test_all_levels_have_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    found = {level: probe(capsys, f"{CASES[0]} --level {level}") for level in ("fast", "command", "roofline")}
    assert list(found["fast"]) == list(found["command"]) == list(found["roofline"])
    rough = found["roofline"]
    assert known(rough) == pytest.approx(rough["attention_us"], rel=1e-6)
    nothing = {key for key, value in rough.items() if value is None}
    parts = {"write_us", "relayout_us", "refresh_us", "host_us"}
    assert nothing == parts | {"commands", "row_hits", "bus_busy", "energy_parts_j"}
    assert rough["score_us"] == pytest.approx(found["fast"]["score_us"], rel=0.1)


def test_what_the_fields_say(capsys: pytest.CaptureFixture[str]) -> None:
    # 32 heads of 2 requests on two of four ranksets of 2 ranks: 16 head groups a rank, N_hc = 8.
    found = probe(capsys, f"{SMALL} --batch 2 --context 1024")
    assert (found["n_hc"], found["n_cmr"], found["ranks"]) == (8, 1, 8)
    assert (found["head_groups"], found["head_groups_slowest_rank"]) == (64, 16)
    # A MAC reads a column of 8 bytes in all 128 banks of a rank.
    kv_bytes = 2 * 1024 * 2 * 32 * 128 * 2
    assert found["kv_bytes"] == kv_bytes
    assert found["commands"]["PIM_MAC"] == kv_bytes // (8 * 128)
    assert found["peak_bandwidth_bytes_per_s"] == pytest.approx(8 * 128 * 1.6e9)
    assert found["peak_share"] * found["peak_bandwidth_bytes_per_s"] == pytest.approx(
        kv_bytes / found["attention_us"] * 1e6
    )
    # Two rows of K, two of V, and the two that the new token is written to: 16 banks but for its K.
    assert found["row_activations"] == 64 * (5 * 16 + 1)
    columns = 16 * found["commands"]["PIM_MAC"] + found["commands"]["WR"]
    assert found["row_hits"] == columns - found["row_activations"]
    assert found["bubbles"]["row"] == pytest.approx(found["row_us"] / found["attention_us"])


SWITCHES = [
    ("--no-pipelining", "collect_us"),
    ("--n-hc 1", "attention_us"),
    ("--relayout cpu", "relayout_us"),
    ("--pu rank", "score_us"),
    ("--set overlap_heads=false", "attention_us"),
    ("--set attention.all_bank_faw=obey", "row_us"),
    ("--set mac_interval_tck=12", "score_us"),
    ("--set refresh=false", "refresh_us"),
    ("--set host_transfer_bytes=4096", "host_us"),
    ("--set n_cmr=2", "n_cmr"),
]


@pytest.mark.parametrize(("words", "field"), SWITCHES)
def test_every_switch_does_something(words: str, field: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = "llama-2-70b" if "n_cmr" in words else "llama-2-7b"
    base = f"--machine l3-mini --model {model} --batch 8 --context 2000 --level command"
    plain, changed = probe(capsys, base), probe(capsys, f"{base} {words}")
    assert changed[field] != plain[field]
    assert changed["attention_us"] != plain["attention_us"]


def test_people_read_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["probe", "dimm-pim", *SMALL.split(), "--batch", "2", "--context", "64"]
    assert entry([*words, "--trace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = "one layer of llama-2-7b on l3-mini, level command: 2 requests that attend 64 tokens each"
    assert lines[0] == told
    split = lines.index("")
    assert lines[split + 1].split() == ["cycle", "ns", "command", "bank", "row", "column", "slot", "for"]
    folded = lines[split + 2 :]
    assert entry([*words, "--trace-all"]) == 0
    everything = capsys.readouterr().out.splitlines()[split + 2 :]
    assert {line for line in folded if "..." not in line} < set(everything)
    assert not any("..." in line for line in everything)


def test_a_trace_as_json_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    found = probe(capsys, f"{SMALL} --batch 8 --context 64 --trace")
    assert found["level"] == "command"
    issued = [line for line in found["trace"] if line["command"] != "UNIT"]
    ranks = found["ranks"]  # as many groups on each, so each takes as many commands
    assert len(issued) * ranks == sum(found["commands"].values())
    assert all(line["time_ns"] == line["cycle"] * 0.625 for line in found["trace"])
    end = found["attention_us"] * 1000
    assert max(line["time_ns"] for line in found["trace"]) < end


FIT = "--model gpt-175b --batch 57 --context 8192"
REFUSED = [
    ("--model gpt-175b --batch 2", "Missing option '--context'."),
    ("--batch 0", "--batch: must be a whole number from 1 to 65536, got '0'"),
    (
        FIT,
        "--context: 57 requests of 8192 tokens do not fit the memory of l3-dgx-a100, which holds 56; "
        "lower --batch or --context",
    ),
    (
        f"{SMALL} --batch 1 --context 9 --n-hc 16",
        "attention.n_hc: l3-mini: must be a power of two up to chips_per_rank (8), got 16",
    ),
    (
        f"{SMALL} --batch 1 --context 9 --set n_hc=3",
        "attention.n_hc: l3-mini: must be a power of two up to chips_per_rank (8), got 3",
    ),
    (
        f"{SMALL} --batch 1 --context 9 --set level=quick",
        "attention.level: l3-mini: must be one of: fast, command, roofline, ideal; got 'quick'",
    ),
    (
        f"{SMALL} --batch 1 --context 9 --set gpu.gpus=3",
        "--set: gpu.gpus changes no module; set keys of attention",
    ),
    (f"{SMALL} --batch 1 --context 9 --set n_hc", "--set: must be key=value, got 'n_hc'"),
    (f"{SMALL} --batch 1 --context 9 --n-hc 1 --set n_hc=1", "--set: n_hc is given twice"),
    (
        f"{SMALL} --batch 1 --context 9 --level roofline --pu rank",
        "attention.pu: level roofline knows only pu=bank, got rank; use --level fast",
    ),
    (
        f"{SMALL} --batch 1 --context 9 --level fast --trace",
        "--trace: shows commands, which level fast has not; drop --level",
    ),
    (
        f"{SMALL} --batch 8 --context 20000 --trace",
        "--trace: the slowest rank takes more than 200000 commands; lower --batch or --context",
    ),
    (
        f"{SMALL} --batch 1 --context 9 --set result_buffer_bytes=2",
        "attention.result_buffer_bytes: 2 hold no token's sums for 1 queries a KV head",
    ),
    (f"{SMALL} --batch 1 --context 9 --tp 2", "--tp: 2 x 1 GPUs are more than the 1 of l3-mini"),
    ("--model gpt-175b --batch 1 --context 9 --tp 5", "--tp: 5 does not divide the 96 heads of gpt-175b"),
    ("--model gpt-5 --batch 1 --context 9", "model: unknown model 'gpt-5'; did you mean 'gpt-175b'? "),
]


@pytest.mark.parametrize(("words", "text"), REFUSED)
def test_bad_input_is_refused_in_one_line(words: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["probe", "dimm-pim", *words.split()]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"l3: error: {text}")
    assert told.err.count("\n") == 1
    assert text[-1] == " " or told.err.rstrip().endswith(text)


@pytest.mark.parametrize("option", ["--level", "--relayout", "--pu"])
def test_unknown_words_are_refused_with_those_that_there_are(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SMALL.split(), "--batch", "1", "--context", "9", option, "nowhere"]
    assert entry(["probe", "dimm-pim", *words]) == 2
    told = capsys.readouterr().err
    assert option in told
    assert "'nowhere' is not one of" in told


def test_a_head_that_does_not_divide_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "odd.yaml"
    odd.write_text((MODELS / "llama-2-7b.yaml").read_text().replace("head_size: 128", "head_size: 80"))
    words = ["--machine", "l3-mini", "--model", str(odd), "--batch", "1", "--context", "9", "--n-hc", "8"]
    assert entry(["probe", "dimm-pim", *words]) == 2
    assert capsys.readouterr().err == (
        "l3: error: attention.n_hc: a head of 80 elements over 8 chips does not fill columns of 4; "
        "lower n_hc, or use another model\n"
    )

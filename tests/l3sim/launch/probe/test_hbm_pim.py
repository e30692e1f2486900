"""`./l3 probe hbm-pim`: the same fields as of DIMMs, levels, where the units are, refusals."""

import json
from typing import Any

import pytest

from l3sim.launch.cli import entry
from l3sim.launch.probe.calls import PARTS


def probe(capsys: pytest.CaptureFixture[str], words: str) -> dict[str, Any]:
    assert entry(["probe", "hbm-pim", *words.split(), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


CASE = "--model llama-2-7b --batch 40 --context 3000"


def test_levels_agree_and_have_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    found = {level: probe(capsys, f"{CASE} --level {level}") for level in ("fast", "command", "roofline")}
    assert list(found["fast"]) == list(found["command"]) == list(found["roofline"])
    fast, command, rough = found.values()
    assert abs(fast["attention_us"] - command["attention_us"]) <= 0.005 * command["attention_us"]
    assert fast["commands"] == command["commands"]
    assert fast["energy_j"] == pytest.approx(command["energy_j"], rel=0.005)
    for of in found.values():
        parts = sum(of[f"{part}_us"] or 0.0 for part in PARTS)
        assert parts == pytest.approx(of["attention_us"], rel=1e-6)
        assert of["peak_bandwidth_bytes_per_s"] == pytest.approx(260.8e12, rel=0.001)
        assert of["effective_bandwidth_bytes_per_s"] < of["peak_bandwidth_bytes_per_s"]
        # Between cells and banks 0.55 pJ a bit of K and V, and 2 pJ for each of its 16-bit products.
        assert 0.55 < of["energy_j"] * 1e12 / (8 * of["kv_bytes"]) < 0.55 + 2 / 16 + 0.1
    assert rough["score_us"] == pytest.approx(fast["score_us"], rel=0.1)


def test_where_the_units_are_sets_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    of = {pu: probe(capsys, f"{CASE} --pu {pu}") for pu in ("bank", "bank-group", "buffer")}
    assert of["bank"]["attention_us"] < of["bank-group"]["attention_us"] < of["buffer"]["attention_us"]
    assert "PIM_MAC" not in of["buffer"]["commands"]
    assert of["bank-group"]["commands"]["PIM_MAC"] > 3 * of["bank"]["commands"]["PIM_MAC"]


def test_a_trace_is_of_one_pseudo_channel(capsys: pytest.CaptureFixture[str]) -> None:
    small = "--machine hbm-pim-ext-dgx-a100 --model llama-2-7b --tp 8 --dp 1 --batch 1 --context 64"
    found = probe(capsys, f"{small} --trace")
    issued = [line for line in found["trace"] if line["command"] != "UNIT"]
    # 32 heads on 20 stacks of 8 channels; a head's new token is 8 columns of K, and as many of V.
    assert (found["ranks"], found["head_groups_slowest_rank"]) == (160, 1)
    assert [line["command"] for line in issued].count("WR") == 2 * 8
    assert all(line["time_ns"] == line["cycle"] * 628 / 1000 for line in found["trace"])
    assert {line["row"] for line in issued if line["command"] == "PIM_MAC"} >= {"0 K 0", "0 V 0"}
    striped = probe(capsys, f"{small} --set mapping=striped --trace")
    # Over the 16 pseudo channels of a stack, the two heads one by one; 4 columns of V in each of 32 banks.
    assert (striped["ranks"], striped["head_groups_slowest_rank"]) == (20, 2)
    assert [line["command"] for line in striped["trace"]].count("WR") == 2 * (8 + 4 * 32)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            "hbm-pim --machine l3-mini --model llama-2-7b --batch 1 --context 9",
            "--machine: l3-mini has modules of kind dimm-pim, not hbm-pim; use another",
        ),
        (
            "dimm-pim --machine hbm-pim-dgx-a100 --model llama-2-7b --batch 1 --context 9",
            "--machine: hbm-pim-dgx-a100 has modules of kind hbm-pim, not dimm-pim; use another",
        ),
        (
            "hbm-pim --model llama-2-7b --batch 1 --context 9 --set result_buffer_bytes=2",
            "attention.result_buffer_bytes: 2 hold no chunk's sums, nor outputs, of one query; raise it",
        ),
        (
            "hbm-pim --model llama-2-7b --batch 1 --context 9 --level fast --trace",
            "--trace: shows commands, which level fast has not; drop --level",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(words: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["probe", *words.split()]) == 2
    assert capsys.readouterr().err == f"l3: error: {text}\n"

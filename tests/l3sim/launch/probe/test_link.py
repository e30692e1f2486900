"""`./l3 probe link`: fields, hand calculation, refusals."""

import json
from typing import Any

import pytest

from l3sim.launch.cli import entry
from l3sim.launch.probe.link import transfer
from l3sim.specs.catalog import machine_names


def probe(capsys: pytest.CaptureFixture[str], words: str) -> dict[str, Any]:
    assert entry(["probe", "link", *words.split(), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_gigabyte_by_hand(direction: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = probe(capsys, f"--bytes 1000000000 --direction {direction}")
    # 8 links of 27.2 GB/s are narrower than 16 channels of 25.6.
    expected_us = 1.0 + 1e9 / 8 / 27.2e9 * 1e6
    assert found["transfer_us"] == pytest.approx(expected_us, abs=1e-6)
    assert found["bandwidth_bytes_per_s"] == pytest.approx(1e9 / expected_us * 1e6, rel=1e-9)
    assert (found["bound"], found["direction"], found["bytes"]) == ("gpu", direction, 10**9)


@pytest.mark.parametrize(
    ("words", "bound", "rate"),
    [
        ("", "gpu", 8 * 27.2e9),
        ("--set link.pcie_bytes_per_s=64e9", "channel", 16 * 25.6e9),
        ("--set link.relayout=cpu", "channel", 16 * 25.6e9 / 3),
        ("--set link.gpus_per_uplink=2", "uplink", 4 * 27.2e9),
        ("--set link.gpus_per_uplink=2 --set link.uplink_bytes_per_s=64e9", "gpu", 8 * 27.2e9),
        ("--tp 2", "gpu", 2 * 27.2e9),  # a quarter of the channels, too
        ("--tp 2 --set link.gpus_per_uplink=4", "uplink", 27.2e9 / 2),  # another replica has the other half
        ("--machine l3-mini", "gpu", 27.2e9),
        ("--machine l3-mini --set link.channel_efficiency=0.5", "channel", 25.6e9),
    ],
)
def test_the_narrower_decides(
    words: str, bound: str, rate: float, capsys: pytest.CaptureFixture[str]
) -> None:
    found = probe(capsys, f"--bytes 1000000000 {words} --set link.setup_us=0")
    assert found["bound"] == bound
    assert found["bandwidth_bytes_per_s"] == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(
    ("words", "share"),
    [
        ("", 0.25),
        ("--no-overlap", 1.0),
        ("--set link.overlap=off", 1.0),
        ("--set attention.ranksets=2", 0.5),
    ],
)
def test_ranks_that_stand_still(words: str, share: float, capsys: pytest.CaptureFixture[str]) -> None:
    found = probe(capsys, f"--bytes 65536 {words}")
    assert found["attention_stopped_share"] == share
    assert found["transfer_us"] == probe(capsys, "--bytes 65536")["transfer_us"]


def test_people_read_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["probe", "link", "--bytes", "65536"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "transfer    1.301 us down, 65,536 bytes"
    assert [line.split()[0] for line in lines if line.endswith("<- decides")] == ["gpu"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", "Missing option '--bytes'."),
        ("--bytes 0", "--bytes: must be a whole number from 1 to 1125899906842624, got '0'"),
        ("--bytes 5 --tp 3", "--tp: must divide the 8 GPU(s) of l3-dgx-a100, got 3"),
        ("--bytes 5 --tp 16", "--tp: must divide the 8 GPU(s) of l3-dgx-a100, got 16"),
        (
            "--bytes 5 --machine l4",
            f"machine: unknown machine 'l4' (there are: {', '.join(machine_names())})",
        ),
        (
            "--bytes 5 --set gpu.tdp_w=3",
            "--set: gpu.tdp_w changes no transfer; set keys of link or attention",
        ),
        (
            "--bytes 5 --no-overlap --set link.overlap=rankset",
            "--no-overlap: excludes --set link.overlap; keep one",
        ),
        (
            "--bytes 5 --set link.channel_bytes_per_s=0",
            "link.channel_bytes_per_s: l3-dgx-a100: Expected `float` > 0.0, got 0",
        ),
        (
            "--bytes 5 --set link.gpus_per_uplink=3",
            "link.gpus_per_uplink: 3 GPUs of an uplink and 8 of a replica (tp) do not divide each other; "
            "change one",
        ),
    ],
)
def test_refused(words: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["probe", "link", *words.split()]) == 2
    assert capsys.readouterr().err == f"l3: error: {text}\n"


def test_it_is_the_model_that_jobs_are_priced_by() -> None:
    """A batch that lies evenly on all channels costs what the probe says of as many bytes."""
    import numpy as np

    from l3sim.placement import layout_of
    from l3sim.services.interconnect.model import TransferCosts
    from l3sim.specs.catalog import load_machine, load_model

    machine, model = load_machine("l3-dgx-a100"), load_model("gpt-175b")
    layout = layout_of(machine.attention, model, 8, 1)
    costs = TransferCosts(machine.link, model, layout)
    tokens = np.zeros((1, layout.ranksets, layout.ranks), dtype=np.int64)
    tokens[0, 0, :] = 10
    moved = 10 * layout.ranks * model.layer_kv_bytes
    cost = int(costs.cost_ps(tokens, np.array([costs.kv_bytes]))[0, 0])
    assert cost / 1e6 == transfer("l3-dgx-a100", moved, "down", None, [])["transfer_us"]

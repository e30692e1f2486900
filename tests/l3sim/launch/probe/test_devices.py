"""The probe of any kind asks devices; of ours it finds what their own probes work out from the models."""

import json
from pathlib import Path

import pytest

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients.cli import main
from l3sim.errors import InvalidInput
from l3sim.launch.probe import attention as own
from l3sim.launch.probe.devices import probe
from l3sim.specs.catalog import load_machine, load_model


@pytest.mark.parametrize(("name", "dp"), [("l3-mini", 1), ("l3-dgx-a100", 8), ("hbm-pim-dgx-a100", 2)])
@pytest.mark.parametrize(("batch", "context"), [(1, 1), (5, 700), (16, 2048)])
def test_ours_cost_what_their_own_probe_says(name: str, dp: int, batch: int, context: int) -> None:
    machine = load_machine(name).with_settings([("attention.level", "roofline")])
    stacks = machine.attention.kind == "hbm-pim"
    if stacks:  # whose ranks are the devices' then, and not their channels
        machine = machine.with_settings([("attention.mapping", "striped")])
    model = load_model("llama-2-7b")
    asked, inside = (
        probe(machine, model, batch, context, 1, dp),
        own.probe(machine, model, batch, context, 1, dp),
    )
    assert asked["attention_us"] == pytest.approx(inside["attention_us"], rel=1e-9)
    # A device tells nanojoules of each of its up to 40 ranks.
    assert asked["energy_j"] == pytest.approx(inside["energy_j"], rel=1e-6, abs=20e-9 if stacks else 0)
    for key in ("ranks", "head_groups", "head_groups_slowest_rank", "kv_bytes", "level"):
        assert asked[key] == inside[key]


@pytest.mark.parametrize(("batch", "context"), [(1, 1), (5, 700), (16, 2048)])
def test_channels_are_dealt_as_the_stacks_deal_them(batch: int, context: int) -> None:
    machine, model = load_machine("hbm-pim-dgx-a100"), load_model("llama-2-7b")
    asked = probe(machine, model, batch, context, 1, 2)
    inside = own.probe(machine, model, batch, context, 1, 2)
    assert asked["attention_us"] == pytest.approx(inside["attention_us"], rel=1e-9)
    # Nanojoules of each of 320 channels.
    assert asked["energy_j"] == pytest.approx(inside["energy_j"], rel=1e-6, abs=160e-9)
    assert (asked["ranks"], inside["ranks"]) == (40, 320)


def test_a_kind_of_ones_own_is_probed_from_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(
        "from l3sim.services.cpu_attention.device import CpuAttentionDevice\n"
        "class Mine(CpuAttentionDevice):\n    kind = 'mine'\n"
    )
    keys = load_machine("cpu-dgx-a100").section("attention") | {"kind": "./mine.py"}
    file = tmp_path / "mine.yaml"
    file.write_text(f"extends: cpu-dgx-a100\nname: mine\ndescription: x\nattention: {json.dumps(keys)}\n")
    words = ["--model", "opt-66b", "--batch", "8", "--context", "1024", "--json"]
    found = []
    for machine in ("cpu-dgx-a100", str(file)):
        assert main(["probe", "attention", "--machine", machine, *words]) == 0
        found.append(json.loads(capsys.readouterr().out))
    ours, mine = found
    assert (ours["kind"], mine["kind"]) == ("cpu-attention", "mine")
    assert {**mine, "kind": "", "machine": ""} == {**ours, "kind": "", "machine": ""}


def test_a_machine_whose_gpus_attend_is_refused() -> None:
    with pytest.raises(InvalidInput, match="--machine: on gpu-only-dgx-a100 the GPUs attend; see probe gpu"):
        probe(load_machine("gpu-only-dgx-a100"), load_model("llama-2-7b"), 1, 1)

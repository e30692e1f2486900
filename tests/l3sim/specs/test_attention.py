"""Every kind of ours answers what the machine asks of its attention section, each rank once."""

import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import load_machine, load_model, machine_names
from l3sim.specs.layout import DecodePlacement

MODEL = load_model("llama-2-7b")
WITH_DEVICES = [name for name in machine_names() if load_machine(name).attention.devices]


@pytest.mark.parametrize("name", WITH_DEVICES)
def test_devices_fill_every_rank_of_every_rankset_once(name: str) -> None:
    attention = load_machine(name).attention
    dp = 2 if attention.channels % 2 == 0 else 1
    layout = attention.layout(MODEL, 1, dp)
    assert layout.ranks == attention.replica_channels(dp) == attention.channels // dp
    found = [one for device in range(attention.devices) for one in attention.rank_assignments(layout, device)]
    used = sorted((replica, rankset, rank) for replica, rankset, rank, unused in found if not unused)
    every = range(dp), range(attention.rankset_count), range(layout.ranks)
    assert used == [(d, j, r) for d in every[0] for j in every[1] for r in every[2]]


@pytest.mark.parametrize("name", WITH_DEVICES)
def test_a_rank_holds_something_and_reads_at_some_rate(name: str) -> None:
    attention = load_machine(name).attention
    assert attention.kv_room_bytes(attention.layout(MODEL, 1, 1), MODEL) > 0
    assert attention.kv_bytes_per_s > 0


def test_gpus_that_attend_have_no_channels_and_keep_kv_beside_the_weights() -> None:
    attention = load_machine("gpu-only-dgx-a100").attention
    layout = attention.layout(MODEL, 1, 1)
    assert (attention.devices, attention.placement) == (0, DecodePlacement.GPU)
    assert attention.kv_room_bytes(layout, MODEL, 1000) == int(1000 * attention.memory_share)
    with pytest.raises(InvalidInput, match=r"attention.kind: the GPUs attend, so there are no channels"):
        attention.replica_channels(1)


def test_replicas_share_channels_evenly() -> None:
    with pytest.raises(InvalidInput, match=r"dp: 4 memory channels cannot be shared by 3 replicas"):
        load_machine("l3-mini").with_settings([("attention.modules_per_channel", 1)]).attention.layout(
            MODEL, 1, 3
        )

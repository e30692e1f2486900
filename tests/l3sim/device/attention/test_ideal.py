"""Level `ideal` against the same by hand, for every kind that has it."""

import numpy as np
import pytest

from l3sim.device.attention.ideal import IdealModel, ideal_model
from l3sim.device.attention.rank_sums import RankSums, decoding
from l3sim.errors import InvalidInput
from l3sim.placement import layout_of
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.layout import Layout

LAYOUT = Layout(
    tp=1, dp=1, ranksets=2, ranks=2, heads_per_group=1, groups=3, chips_per_head=1, queries_per_read=1
)


def test_every_rank_takes_the_whole_sub_batchs_bytes_over_the_whole_bandwidth() -> None:
    # Bins: sub-batch 0 has requests at offset 0 (10 and 20 tokens), sub-batch 1 one at each offset.
    requests = decoding(np.array([0, 1, 4, 6]), 8, np.array([9, 19, 99, 199]), 2)
    found = IdealModel(1000, 1e9, 2.0, LAYOUT)
    time, energy = found.cost(found.look_up(requests), requests, RankSums(LAYOUT, [0, 1]))
    assert time.shape == energy.shape == (2, 2, 2, 2)
    first, second = [60e6, 64e6], [300e6, 302e6]  # tokens x 1 us; one of two ranksets does all of the first
    assert time[0, 0].tolist() == [first, first]
    assert not time[0, 1].any()  # no request has a layer there, so nothing crosses either
    assert time[1].tolist() == [[second, second], [second, second]]
    assert energy[1, 0, 0].tolist() == [600_000, 604_000]


@pytest.mark.parametrize(
    ("name", "bytes_per_s"),
    [
        ("l3-as-published", 13.1e12),
        ("r-pim-as-published", 1.6e12),
        ("hbm-pim-as-published", 260.8e12),
        ("hbm-pim-ext-as-published", 130.4e12),
        ("cpu-as-published", 406e9),
    ],
)
def test_machines_as_published_attend_at_the_published_bandwidth(name: str, bytes_per_s: float) -> None:
    machine, model = load_machine(name), load_model("gpt-175b")
    layout = layout_of(machine.attention, model, 8, 1)
    one = decoding(np.array([0]), layout.ranksets * layout.ranks, np.array([9261]), 1)
    ideal = ideal_model(machine.attention, model, layout, 1.0)
    time = int(ideal.look_up(one)[0, 0]) * model.layers / 1e12
    assert time == pytest.approx(9262 * model.kv_bytes_per_token / bytes_per_s, rel=0.03)


def test_replicas_share_the_bandwidth() -> None:
    machine, model = load_machine("l3-as-published"), load_model("qwen-72b")
    layout = layout_of(machine.attention, model, 4, 2)
    one = decoding(np.array([0]), layout.ranksets * layout.ranks, np.array([999]), 1)
    ideal = ideal_model(machine.attention, model, layout, 1.0)
    assert ideal.look_up(one)[0, 0] == pytest.approx(1000 * 4096 / (13.1072e12 / 2) * 1e12, rel=1e-6)


def test_a_kind_that_says_no_bandwidth_is_refused() -> None:
    attention = load_machine("gpu-only-dgx-a100").attention
    with pytest.raises(InvalidInput, match="level: ideal needs the kind's bandwidth"):
        ideal_model(attention, load_model("gpt-175b"), LAYOUT, 1.0)

"""A head in an HBM stack by hand, and the published rates."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from l3sim.placement import kv_room_bytes, layout_of
from l3sim.services.hbm_pim.roofline import Head
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.config import HbmPimConfig
from tests.services.builders import machine

INSIDE, OUTSIDE = "hbm-pim-dgx-a100", "hbm-pim-ext-dgx-a100"


@cache
def head_of(model: str, tp: int, **settings: Any) -> Head:
    keys = {"mapping": "striped"} | settings
    on = machine(INSIDE, **{f"attention__{key}": value for key, value in keys.items()}).attention
    assert isinstance(on, HbmPimConfig)
    shape = load_model(model)
    return Head.of(on, shape, layout_of(on, shape, tp, 1))


def at(head: Head, tokens: int) -> float:
    return float(head.cost_s(np.array([tokens]))[0])


def test_one_head_of_gqa_by_hand() -> None:
    # 1000 tokens over 512 units are 2 each, 512 B of K; a unit reads 32 B every 4 * 628 ps = 12.739 GB/s:
    # 40.19 ns, V as much; T_exp = 1000 * 8 / 512e9 = 15.6 ns; 2 rows of 46 * 628 ps = 57.8 ns; Q and the
    # output are 2 * 8 * 256 B over 407.6 GB/s = 10.0 ns; two pass costs are 200 ns.
    expected = 2 * 40.192 + 2 * 28.888 + 4096 / 407.643 + 200
    assert at(head_of("llama-2-70b", 4), 1000) == pytest.approx(expected * 1e-9, rel=1e-4)


def test_one_head_on_a_channel_by_hand() -> None:
    # 1000 tokens over 2 x 8 bank groups are 63 each, of 2 columns of 32 B in each bank, every 4 * 628 ps:
    # 316.5 ns, V as much; 4 rows each of 46 * 628 ps; Q and the output over an eighth of the bus.
    head = head_of("llama-2-70b", 4, mapping="head_per_channel")
    expected = 2 * 63 * 2 * 4 * 0.628 + 2 * 4 * 28.888 + 8 * 4096 / 407.643 + 200
    assert at(head, 1000) == pytest.approx(expected * 1e-9, rel=1e-4)
    # All banks of all groups together read K and V once: 512 B a token at 0.55 pJ a bit, and 8 queries' work.
    assert head.token_pj == pytest.approx(512 * 8 * 0.55 + 2 * 8 * (128 * 2.0 + 10.0))


@pytest.mark.parametrize(("pu", "share"), [("bank", 1), ("bank-group", 1 / 4), ("buffer", 1 / 16)])
def test_where_the_units_sit_sets_the_rate(pu: str, share: float) -> None:
    # 4 banks a group; at the buffer columns come every CCD_S, twice as often, from one bank at a time.
    head, bank = head_of("gpt-175b", 8, pu=pu), head_of("gpt-175b", 8)
    assert head.units * head.unit_bytes_per_s == pytest.approx(share * bank.units * bank.unit_bytes_per_s)
    assert at(head, 2**20) > at(bank, 2**20) or pu == "bank"


def test_queries_beyond_one_read_take_more_passes() -> None:
    one, two = head_of("llama-2-70b", 4), head_of("llama-2-70b", 4, n_cmr=4)
    assert (one.passes, two.passes) == (1, 2)
    many = 2**20
    assert at(two, many) - two.ends_s == pytest.approx(2 * (at(one, many) - one.ends_s))


def test_bandwidth_and_capacity_are_the_published_ones() -> None:
    inside, outside = load_machine(INSIDE), load_machine(OUTSIDE)
    assert inside.attention.kv_bytes_per_s == pytest.approx(260.8e12, rel=0.001)
    assert outside.attention.kv_bytes_per_s == pytest.approx(130.4e12, rel=0.001)
    model = load_model("gpt-175b")
    room = kv_room_bytes(outside.attention, layout_of(outside.attention, model, 8, 1), model)
    assert 20 * room == 320 * 2**30
    # 640 GiB less reserve and weights, of which prefill KV keeps 5 %.
    room = kv_room_bytes(inside.attention, layout_of(inside.attention, model, 8, 1), model)
    assert 40 * room == pytest.approx((640 * 2**30 * 0.94 - model.weight_bytes) * 0.95, abs=40)
    # Each of four replicas has its own copy of the weights, in its own ten stacks.
    small = load_model("opt-66b")
    room = kv_room_bytes(inside.attention, layout_of(inside.attention, small, 2, 4), small)
    assert 40 * room == pytest.approx((640 * 2**30 * 0.94 - 4 * small.weight_bytes) * 0.95, abs=40)

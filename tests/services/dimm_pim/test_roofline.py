"""Head groups against closed forms and hand calculation."""

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.device.attention.levels import TABLE_TOKENS
from l3sim.placement import layout_of
from l3sim.services.dimm_pim.roofline import GroupCosts, HeadGroup, head_group
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.dimm_pim import chips_per_head
from l3sim.units import ps
from tests.services.builders import machine

MHA = ("gpt-175b", 8)
GQA = ("llama-2-70b", 4)


@cache
def group_of(model: tuple[str, int] = MHA, **settings: Any) -> HeadGroup:
    on = machine(**{f"attention__{key}": value for key, value in settings.items()})
    shape = load_model(model[0])
    return head_group(on.attention, shape, layout_of(on.attention, shape, model[1], 1))


def at(group: HeadGroup, tokens: int) -> int:
    return int(GroupCosts(group).at(np.array([tokens]), tokens)[0])


def test_one_head_group_of_mha_by_hand() -> None:
    # N_hc = 8: a head over 8 chips; 1000 tokens are 63 a bank, of 16 elements a chip: 2 rows of 1 KiB.
    # T_comp = 63 * 128 / (0.8e9 * 8) = 1.26 us; T_comm = 1000 * 8 * 4 B / 25.6e9 = 1.25 us;
    # T_exp = 1000 / 12.8e9 = 0.078 us; T_S = 1000 * 8 * 2 B / 25.6e9 = 0.625 us;
    # T_q + T_out = 128 * (2 + 4) B / 25.6e9 + 2 * 100 ns = 0.23 us; 2 * 2 rows * 27.5 ns = 0.11 us.
    group = group_of()
    assert group.chips_per_head == 8
    assert at(group, 1000) == pytest.approx((1.26 + 1.26 + 0.23 + 0.11) * 1e6, abs=1)


def test_one_head_group_of_gqa_by_hand() -> None:
    # N_hc = 1: 8 heads of 8 queries; 1024 tokens are 64 a bank of 128 elements a chip (16 KiB: 16 rows).
    # T_comp = 64 * 128 / 0.8e9 = 10.24 us = T_comm = 1024 * 8 * 8 * 4 B / 25.6e9; T_S is half of that;
    # T_exp = 1024 * 8 * 8 / 12.8e9 = 5.12 us; T_q + T_out = 64 * 128 * 6 B / 25.6e9 + 0.2 us = 2.12 us;
    # 2 * 16 rows * 27.5 ns = 0.88 us.
    group = group_of(GQA)
    assert (group.chips_per_head, group.heads, group.passes) == (1, 8, 1)
    assert at(group, 1024) == pytest.approx((2 * 10.24 + 2.12 + 0.88) * 1e6, abs=1)


def test_one_head_at_the_rank_by_hand() -> None:
    # K of 1000 tokens is 256,000 B, over 25.6e9 B/s 10 us, V as much; T_exp = 1000 * 8 / 12.8e9 is less;
    # 2 * 2 rows of 8 chips * 16 banks * 1 KiB * 27.5 ns = 0.11 us; two pass costs are 0.2 us.
    group = group_of(GQA, pu="rank", n_hc=8)
    assert at(group, 1000) == pytest.approx((2 * 10 + 0.11 + 0.2) * 1e6, abs=1)
    # Everything crosses one bus, however many heads a group has.
    eight = group_of(GQA, pu="rank", n_hc=1)
    assert eight.compute_s(np.array([1000])) == pytest.approx(8 * group.compute_s(np.array([1000])))


def test_without_pipelining_every_max_is_a_sum() -> None:
    hidden, open_ = group_of(GQA), group_of(GQA, pipelining=False)
    # T_comm (10.24), T_exp (5.12) and T_S (5.12 us) come on top.
    assert at(open_, 1024) - at(hidden, 1024) == pytest.approx(20.48e6, abs=2)


@pytest.mark.parametrize(
    ("model", "chips"), [("opt-66b", 8), ("gpt-175b", 8), ("llama-2-70b", 1), ("qwen-72b", 1)]
)
def test_published_chips_per_head(model: str, chips: int) -> None:
    shape = load_model(model)
    assert chips_per_head(machine().attention, shape, shape.queries_per_kv) == chips


@pytest.mark.parametrize("model", [MHA, GQA])
@given(tokens=st.integers(1, 200_000))
def test_no_bubble_within_the_bound(model: tuple[str, int], tokens: int) -> None:
    group = group_of(model)
    count = np.array([tokens])
    assert group.collect_s(count)[0] <= group.compute_s(count)[0] * (1 + 1e-12)


@pytest.mark.parametrize(("model", "chips"), [(GQA, 2), (GQA, 8)])
def test_bubbles_beyond_the_bound(model: tuple[str, int], chips: int) -> None:
    group = group_of(model, n_hc=chips)
    count = np.array([16_000])
    assert group.collect_s(count)[0] == pytest.approx(chips * group.compute_s(count)[0], rel=1e-9)
    assert group.cost_s(count)[0] > group.collect_s(count)[0] + group.compute_s(count)[0]


def test_doubling_the_binding_bandwidth_halves_the_time() -> None:
    slow = dataclasses.replace(group_of(), pass_s=0.0, row_s=0.0, rank_bytes_per_s=1e18)
    fast = dataclasses.replace(slow, bank_elements_per_s=2 * slow.bank_elements_per_s)
    assert at(slow, 16_384) == pytest.approx(2 * at(fast, 16_384), rel=1e-6)
    # On the bus side, with banks so fast that only the bus counts.
    bus = dataclasses.replace(group_of(), pass_s=0.0, row_s=0.0, bank_elements_per_s=1e18)
    wide = dataclasses.replace(bus, rank_bytes_per_s=2 * bus.rank_bytes_per_s)
    assert at(bus, 16_384) == pytest.approx(2 * at(wide, 16_384), rel=1e-6)


def test_two_passes_read_and_open_twice() -> None:
    once, twice = group_of(GQA, n_hc=1), group_of(GQA, n_hc=1, n_cmr=4)
    count = np.array([1024])
    assert (once.passes, twice.passes) == (1, 2)
    assert twice.rows(count)[0] == 2 * once.rows(count)[0]
    assert twice.compute_s(count)[0] == 2 * once.compute_s(count)[0]


COSTS = GroupCosts(group_of())


@given(tokens=st.integers(1, 3 * TABLE_TOKENS))
def test_costs_are_positive_and_grow(tokens: int) -> None:
    costs = COSTS
    pair = costs.at(np.array([tokens, tokens + 1]), tokens + 1)
    assert pair.dtype == np.int64
    assert 1 <= pair[0] <= pair[1]


@given(tokens=st.lists(st.integers(1, TABLE_TOKENS - 1), min_size=1, max_size=5))
def test_the_table_holds_what_the_formula_says(tokens: list[int]) -> None:
    group = group_of()
    costs = GroupCosts(group)
    for count in tokens:  # the table grows under way
        assert costs.at(np.array([count]), count)[0] == ps(float(group.cost_s(np.array([count]))[0]))


def test_a_cost_beyond_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="a cost must be finite"):
        GroupCosts(dataclasses.replace(group_of(), pass_s=1e9))


def test_banks_of_a_rank_read_at_their_bandwidth() -> None:
    # 8 chips x 16 banks x 1.6 GB/s: the time of one pass over 1 GiB of K.
    group = group_of()
    tokens = 2**30 // (128 * 2)
    inside = load_machine("l3-dgx-a100").attention.bank_bytes_per_s * 8 * 16
    assert group.compute_s(np.array([tokens]))[0] == pytest.approx(2**30 / inside)

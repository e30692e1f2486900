"""Sums and exponentials: as exact as their docstrings say, and refused where data come too early."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.errors import InvalidInput, InvariantBroken
from l3sim.ieee import exponential
from l3sim.services.dimm_pim.functional.effects import effects_of
from l3sim.services.dimm_pim.functional.numeric import add_up
from l3sim.services.dimm_pim.functional.rank import Rank
from l3sim.services.dimm_pim.functional.rank_unit import RankUnit
from l3sim.services.dram.command.result import attend
from tests.services.dimm_pim.functional.builders import ROOM, small_kernel


@given(st.floats(-80, 0, width=32))
def test_an_exponential_is_off_by_half_a_unit_in_the_last_place(x: float) -> None:
    (value,) = exponential(np.array([x], dtype=np.float32)).tolist()
    exact = math.exp(x)
    assert abs(value - exact) <= 2.0**-24 * (1 + 1e-6) * 2.0 ** math.ceil(math.log2(exact) + 1e-12)


def test_the_ends_of_the_exponential() -> None:
    assert exponential(np.array([0, -np.inf, -200], dtype=np.float32)).tolist() == [1, 0, 0]


def test_neighbours_are_added_first() -> None:
    """In FP16, 2048 + 1 is 2048; the tree adds the small ones before."""
    assert add_up(np.array([2048, 0, 1, 1], dtype=np.float16)) == 2050
    assert add_up(np.array([7], dtype=np.float32)) == 7


def test_sums_of_a_width_that_is_no_number_are_refused() -> None:
    with pytest.raises(
        InvalidInput, match="result_bytes: sums of 1 bytes have no number format; use 2, 4 or 8"
    ):
        Rank(small_kernel(result_bytes=1), ROOM)


def test_a_trace_that_stops_short_is_not_executed() -> None:
    kernel = small_kernel()
    with pytest.raises(InvariantBroken, match=r"^5 of \d+ commands were traced; trace them all$"):
        next(effects_of(kernel.pim, attend(kernel, [9], traced=5)))


def test_s_is_not_there_before_its_scores() -> None:
    at = small_kernel().geometry
    unit = RankUnit(at, segment_tokens=64, most=40)
    unit.scores(0, np.zeros((16, at.heads, at.chips_per_head, at.queries), dtype=np.float32))
    assert np.array_equal(unit.weights(4, 2), np.full((2, at.heads, at.queries), 1 / 16, dtype=np.float16))
    with pytest.raises(InvariantBroken, match="S of tokens 8 to 23 was asked for before their scores"):
        unit.weights(8, 16)

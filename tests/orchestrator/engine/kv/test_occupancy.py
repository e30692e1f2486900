"""Sums over joins, against a walk of every round."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from l3sim.orchestrator.engine.kv.occupancy import Occupancy
from tests.orchestrator.small_jobs import numbers

PLACES = 3
#: Times near what 64 bits hold, so that sums must not stay in them.
TIMES = st.lists(st.integers(1, 2**58), min_size=1, max_size=20)
#: (tokens before, placement)
GROWING = st.lists(st.tuples(st.integers(1, 40), st.integers(0, PLACES - 1)), max_size=5)


@given(st.sampled_from([1, 2, 7, 64]), TIMES, GROWING, GROWING)
def test_a_window_counts_what_its_rounds_would(
    size: int, times: list[int], growing: list[tuple[int, int]], idle: list[tuple[int, int]]
) -> None:
    books = Occupancy(size, PLACES)
    block_ps, place_ps = 0, [0] * PLACES
    for rounds, lasted in enumerate(times, start=1):
        now = [(held + rounds, place) for held, place in growing] + idle
        block_ps += sum(-(-held // size) for held, _ in now) * lasted
        for held, place in now:
            place_ps[place] += held * lasted
    ends = [(held + len(times), place) for held, place in growing]
    tokens = np.bincount(
        numbers([place for _, place in ends + idle]),
        weights=[held for held, _ in ends + idle],
        minlength=PLACES,
    ).astype(np.int64)
    blocks = sum(-(-held // size) for held, _ in ends + idle)
    at_end = numbers([held for held, _ in ends]), numbers([place for _, place in ends])
    books.add(numbers(times), blocks, tokens, *at_end)
    assert (books.block_ps, books.place_ps.tolist()) == (block_ps, place_ps)


def test_windows_add_up() -> None:
    books = Occupancy(4, 2)
    books.add(numbers([10]), 3, numbers([9, 2]))
    books.add(numbers([5, 5]), 3, numbers([9, 3]), numbers([3]), numbers([1]))
    assert books.block_ps == 30 + 15 + 15
    assert books.place_ps.tolist() == [90 + 45 + 45, 20 + 10 + 15]

"""Dealing rank by rank."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.policies.balance import deal, rank_loads
from tests.orchestrator.small_jobs import numbers

#: Two ranksets of two ranks; a request has one head group.
ONE = np.eye(2, dtype=np.int64)
EVEN = np.ones((2, 2))


def test_loads_by_rank() -> None:
    """Placement 1 is (offset 0, rank 1), placement 2 (offset 1, rank 0), whose rank is twice as slow."""
    pace = np.array([[1.0, 1.0], [2.0, 1.0]])
    found = rank_loads(numbers([1, 2, 1]), np.array([[3.0], [5.0], [4.0]]), ONE, pace)
    assert found.tolist() == [[0, 7], [10, 0]]


def test_stripes_load_the_ranks_they_lie_on() -> None:
    found = rank_loads(numbers([1]), np.array([[3.0, 2.0]]), ONE, EVEN)
    assert found.tolist() == [[2, 3], [0, 0]]


def test_requests_of_a_rank_are_split_though_the_sums_are_even() -> None:
    """By sums alone all of rank 0 would go to one side: 8 and 8."""
    sides = deal(numbers([0, 1, 0, 1]), np.array([[4.0]] * 4), ONE, EVEN)
    assert sorted(sides[[0, 2]]) == [0, 1]
    assert sorted(sides[[1, 3]]) == [0, 1]


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), max_size=20))
def test_no_rank_differs_by_more_than_its_longest(requests: list[tuple[int, int]]) -> None:
    requests = sorted(requests, key=lambda one: -one[1])
    place = numbers([at for at, _ in requests])
    cost = np.array([[float(each)] for _, each in requests]).reshape(-1, 1)
    side = deal(place, cost, ONE, EVEN)
    for rank in range(4):
        here = place == rank
        loads = [cost[here & (side == s)].sum() for s in range(2)]
        assert abs(loads[0] - loads[1]) <= cost[here].max(initial=0)

"""Loads of ranks, and dealing requests to two sub-batches rank by rank. Compiled, as `partition` is.

A sub-batch is as slow as its slowest rank. So requests are dealt longest first, each to the sub-batch whose
ranks at the request's own placement are lighter; balance of the sums alone would leave a rank's requests all
on one side.
"""

import numpy as np

from l3sim.jit import jit
from l3sim.units import Floats, Int64s


def _example() -> tuple[Int64s, Floats, Int64s, Floats]:
    """One request on one rank."""
    square = np.ones((1, 1))
    return np.zeros(1, dtype=np.int64), square, np.ones((1, 1), dtype=np.int64), square


@jit(no_refs=True)
def _add(loads: Floats, place: int, cost: Floats, index: int, groups: Int64s, pace: Floats) -> None:
    """Add the request of a row of `cost` to the loads of all (offset, rank)."""
    ranks = len(groups)
    offset, first = place // ranks, place % ranks
    for step in range(cost.shape[1]):
        for rank in range(ranks):
            more = groups[(first + step) % ranks, rank] * cost[index, step]
            loads[offset, rank] += more * pace[offset, rank]


@jit(cache=True, example=_example)
def rank_loads(place: Int64s, cost: Floats, groups: Int64s, pace: Floats) -> Floats:
    """Time that each (offset, rank) takes for these requests: shape (R, ranks).

    Args:
        place: placement (offset * ranks + first rank) of each request, shape (n,).
        cost: time of one head group of each on the rank so many steps from its first one, shape (n, steps).
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
        pace: slowness of the rank that serves (offset, rank), shape (R, ranks).
    """
    loads = np.zeros(pace.shape)
    for index in range(len(place)):
        _add(loads, place[index], cost, index, groups, pace)
    return loads


@jit(cache=True, example=_example)
def deal(place: Int64s, cost: Floats, groups: Int64s, pace: Floats) -> Int64s:
    """Side (0 or 1) of each request, given in the order in which they are dealt: shape (n,).

    Each goes where the fullest of its own ranks stays less full; ties to the side with less in all, then 0.
    Arguments as of `rank_loads`.
    """
    side, ranks = np.zeros(len(place), dtype=np.int64), len(groups)
    loads, total = np.zeros((2, pace.shape[0], pace.shape[1])), np.zeros(2)
    for index in range(len(place)):
        offset, first = place[index] // ranks, place[index] % ranks
        full = np.zeros(2)
        for rank in range(ranks):
            more = 0.0
            for step in range(cost.shape[1]):
                more += groups[(first + step) % ranks, rank] * cost[index, step]
            if more > 0:
                for s in range(2):
                    full[s] = max(full[s], loads[s, offset, rank] + more * pace[offset, rank])
        s = 1 if full[1] < full[0] or (full[1] == full[0] and total[1] < total[0]) else 0
        _add(loads[s], place[index], cost, index, groups, pace)
        total[s] += cost[index].sum()
        side[index] = s
    return side

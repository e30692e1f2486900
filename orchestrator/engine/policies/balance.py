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
    return np.zeros(1, dtype=np.int64), np.ones(1), np.ones((1, 1), dtype=np.int64), np.ones((1, 1))


@jit(cache=True, example=_example)
def rank_loads(place: Int64s, cost: Floats, groups: Int64s, pace: Floats) -> Floats:
    """Time that each (offset, rank) takes for these requests: shape (R, ranks).

    Args:
        place: placement (offset * ranks + first rank) of each request, shape (n,).
        cost: time of one head group of each, shape (n,).
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
        pace: slowness of the rank that serves (offset, rank), shape (R, ranks).
    """
    loads, ranks = np.zeros(pace.shape), groups.shape[0]
    for index in range(len(cost)):
        offset, first = place[index] // ranks, place[index] % ranks
        for rank in range(ranks):
            loads[offset, rank] += groups[first, rank] * cost[index] * pace[offset, rank]
    return loads


@jit(cache=True, example=_example)
def deal(place: Int64s, cost: Floats, groups: Int64s, pace: Floats) -> Int64s:
    """Side (0 or 1) of each request, given in the order in which they are dealt: shape (n,).

    Each goes where the fuller of its own ranks stays less full; ties to the side with less in all, then 0.
    Arguments as of `rank_loads`.
    """
    side, ranks = np.zeros(len(cost), dtype=np.int64), groups.shape[0]
    loads, total = np.zeros((2, pace.shape[0], pace.shape[1])), np.zeros(2)
    for index in range(len(cost)):
        offset, first = place[index] // ranks, place[index] % ranks
        full = np.zeros(2)
        for s in range(2):
            for rank in range(ranks):
                if groups[first, rank] > 0:
                    full[s] = max(full[s], loads[s, offset, rank])
        s = 1 if full[1] < full[0] or (full[1] == full[0] and total[1] < total[0]) else 0
        for rank in range(ranks):
            loads[s, offset, rank] += groups[first, rank] * cost[index] * pace[offset, rank]
        total[s] += cost[index]
        side[index] = s
    return side

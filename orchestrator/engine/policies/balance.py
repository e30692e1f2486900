"""Loads of ranks, and dealing requests to two sub-batches rank by rank. Compiled, as `partition` is.

A sub-batch is as slow as its slowest rank. So requests are dealt longest first, each to the sub-batch whose
ranks at the request's own placement are lighter; balance of the sums alone would leave a rank's requests all
on one side.
"""

import numpy as np

from l3sim.jit import jit
from l3sim.orchestrator.engine.policies.partition import add_to_ranks, fullest_with
from l3sim.units import Floats, Int64s


def _example() -> tuple[Int64s, Floats, Int64s, Floats]:
    """One request on one rank."""
    square = np.ones((1, 1))
    return np.zeros(1, dtype=np.int64), square, np.ones((1, 1), dtype=np.int64), square


@jit(cache=True, example=_example)
def rank_loads(place: Int64s, cost: Floats, groups: Int64s, pace: Floats) -> Floats:
    """Time that each (offset, rank) takes for these requests: shape (R, ranks).

    Args:
        place: placement (offset * ranks + first rank) of each request, shape (n,).
        cost: time of one head group of each on the rank so many steps from its first one, shape (n, steps).
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
        pace: slowness of the rank that serves (offset, rank), shape (R, ranks).
    """
    loads, ranks = np.zeros(pace.shape), len(groups)
    for index in range(len(place)):
        add_to_ranks(loads, groups, pace, place[index] // ranks, place[index] % ranks, cost, index)
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
        for s in range(2):
            full[s] = fullest_with(loads[s], groups, pace, offset, first, cost, index)
        s = 1 if full[1] < full[0] or (full[1] == full[0] and total[1] < total[0]) else 0
        add_to_ranks(loads[s], groups, pace, offset, first, cost, index)
        total[s] += cost[index].sum()
        side[index] = s
    return side

"""The loops of the policies, compiled: giving requests to sub-batches, one after the other.

All of it is + - * / and comparisons in a fixed order, so that a plan is the same on any computer.
"""

from typing import NamedTuple

import numpy as np

from l3sim.jit import jit
from l3sim.units import Floats, Int64s

OUT = -1


class Beside(NamedTuple):
    """What stands beside the decode attention of each sub-batch, ps a layer.

    Attributes:
        passes: sub-batches, 1 or 2. While i attends the other one's fully connected layers run; of one
            alone, its own.
        target: T_PIM / T_GPU at which a sub-batch is full.
        prefill_ps: t_p of each one's chunks, shape (2,).
        batch_ps: t_batch of each one's chunks and 0, 1, ..., n decoding requests, shape (2, n + 1).
        moved_ps: transfer of each one's prefill KV, shape (2,).
        comm: transfers of decoding requests: (fixed, per request), shape (2,).
    """

    passes: int
    target: float
    prefill_ps: Floats
    batch_ps: Floats
    moved_ps: Floats
    comm: Floats


@jit(no_refs=True)
def add_to_ranks(
    bins: Floats, groups: Int64s, pace: Floats, offset: int, rank: int, cost: Floats, index: int
) -> float:
    """Add a request, of that row of `cost`, to its bins; the longest time among them."""
    fullest = 0.0
    for step in range(cost.shape[1]):
        each = cost[index, step]
        first = (rank + step) % groups.shape[0]
        for r in range(groups.shape[1]):
            count = groups[first, r]
            if count > 0 and (each > 0 or step == 0):
                bins[offset, r] += count * each * pace[offset, r]
                fullest = max(fullest, bins[offset, r])
    return fullest


@jit(no_refs=True)
def predicted(i: int, fullest: Floats, counts: Int64s, beside: Beside) -> tuple[float, float]:
    """(T_GPU_i, T_PIM_i) a layer while sub-batch i attends.

    T_GPU_i = t_p(i) + t_batch(other); T_PIM_i = t_d(slowest rank of i) + t_comm(n_di, c_po).
    """
    other = beside.passes - 1 - i
    gpu = beside.prefill_ps[i] + beside.batch_ps[other, counts[other]]
    pim = fullest[i] + beside.moved_ps[other]
    if counts[i] > 0:
        pim += beside.comm[0] + beside.comm[1] * counts[i]
    return gpu, pim


@jit()
def both(fullest: Floats, counts: Int64s, beside: Beside) -> Floats:
    """(T_GPU_0, T_PIM_0, T_GPU_1, T_PIM_1) a layer; zeros for a sub-batch that is not used."""
    result = np.zeros(4)
    for i in range(beside.passes):
        result[2 * i], result[2 * i + 1] = predicted(i, fullest, counts, beside)
    return result


@jit(no_refs=True)
def _fullest(bins: Floats, groups: Int64s, offset: int, rank: int) -> float:
    """Longest time among the bins of a placement."""
    fullest = 0.0
    for r in range(groups.shape[1]):
        if groups[rank, r] > 0:
            fullest = max(fullest, bins[offset, r])
    return fullest


@jit(no_refs=True)
def fullest_with(
    bins: Floats, groups: Int64s, pace: Floats, offset: int, rank: int, cost: Floats, index: int
) -> float:
    """Longest time among the bins of a placement if a request of that row of `cost` came to it."""
    fullest = 0.0
    ranks, steps = groups.shape[0], cost.shape[1]
    for r in range(ranks):
        more, any_group = 0.0, False
        for step in range(steps):
            count = groups[(rank + step) % ranks, r]
            if count > 0 and (cost[index, step] > 0 or step == 0):
                more += count * cost[index, step] * pace[offset, r]
                any_group = True
        if any_group:
            fullest = max(fullest, bins[offset, r] + more)
    return fullest


@jit()
def _chains(place: Int64s, places: int) -> tuple[Int64s, Int64s]:
    """Requests of each placement, chained in order: (first of each placement, next of each request)."""
    first = np.full(places, OUT, dtype=np.int64)
    after = np.full(len(place), OUT, dtype=np.int64)
    for index in range(len(place) - 1, -1, -1):
        after[index] = first[place[index]]
        first[place[index]] = index
    return first, after


@jit(no_refs=True)
def _least_loaded(full: Floats, first: Int64s, closed: np.ndarray) -> int:
    """The least loaded placement that is not closed and where a request waits (ties: earliest); OUT: none.

    Args:
        full: longest time among the bins of each placement, shape (places,).
    """
    best = OUT
    for place in range(len(first)):
        if first[place] == OUT or closed[place]:
            continue
        if (
            best == OUT
            or full[place] < full[best]
            or (full[place] == full[best] and first[place] < first[best])
        ):
            best = place
    return best


@jit(no_refs=True)
def _take(
    i: int,
    place: int,
    bins: Floats,
    full: Floats,
    groups: Int64s,
    pace: Floats,
    first: Int64s,
    after: Int64s,
    cost: Floats,
    side: Int64s,
    fullest: Floats,
    counts: Int64s,
    spread: bool,
) -> None:
    """Give the first request of a placement to sub-batch i."""
    index = first[place]
    first[place] = after[index]
    ranks = groups.shape[0]
    offset, rank = place // ranks, place % ranks
    fullest[i] = max(fullest[i], add_to_ranks(bins[i], groups, pace, offset, rank, cost, index))
    # Most often requests have groups on every rank: nothing to look for.
    everywhere = 0.0
    for r in range(ranks):
        everywhere = max(everywhere, bins[i, offset, r])
    for beginning in range(ranks):
        at = offset * ranks + beginning
        full[i, at] = everywhere if spread else _fullest(bins[i], groups, offset, beginning)
    counts[i] += 1
    side[index] = i


def _example() -> tuple[Int64s, Floats, Int64s, Floats, Beside]:
    """One request on one rank."""
    two = np.zeros(2)
    beside = Beside(2, 1.0, two, np.zeros((2, 2)), two, two)
    square = np.ones((1, 1))
    return np.zeros(1, dtype=np.int64), square, np.ones((1, 1), dtype=np.int64), square, beside


@jit(cache=True, example=lambda: (*_example(), 1))
def partition_aligned(
    place: Int64s, cost: Floats, groups: Int64s, pace: Floats, beside: Beside, step: int
) -> tuple[Int64s, Floats, int]:
    """Give out decoding requests until T_PIM > target * T_GPU for every sub-batch; the rest stay OUT.

    `step` at a time go to each sub-batch that has T_PIM <= target * T_GPU. Each time the placement whose
    ranks the sub-batch loads least gives its first request, in the order given; so ranks stay balanced and
    the first on its ranks cannot be passed over for ever, however long it is. Then the other ranks are
    filled up to the slowest, which costs no time: else one long request would leave them idle.

    Args:
        place: placement (offset * ranks + first rank) of each request, shape (n,).
        cost: predicted attention time of one head group of each, ps, shape (n, steps): column q is what
            lies q ranks from its first one, where KV is striped (`l3sim.placement`); else there is one.
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
        pace: slowness of the rank that serves (offset, rank), 1 for the usual one, shape (R, ranks).

    Returns: (side of each request or OUT, (T_GPU_0, T_PIM_0, T_GPU_1, T_PIM_1), predictions made).
    """
    side = np.full(len(cost), OUT, dtype=np.int64)
    bins, full = np.zeros((2, pace.shape[0], pace.shape[1])), np.zeros((2, pace.size))
    fullest = np.zeros(2)
    counts = np.zeros(2, dtype=np.int64)
    first, after = _chains(place, pace.size)
    left = len(cost)
    none_closed = np.zeros(pace.size, dtype=np.bool_)
    spread = groups.min() > 0
    asked = 0
    opened = True
    while opened and left > 0:
        opened = False
        for i in range(beside.passes):
            gpu, pim = predicted(i, fullest, counts, beside)
            asked += 1
            if pim > beside.target * gpu:
                continue
            opened = True
            for _ in range(min(step, left)):
                least = _least_loaded(full[i], first, none_closed)
                _take(i, least, bins, full, groups, pace, first, after, cost, side, fullest, counts, spread)
                left -= 1
    for i in range(beside.passes):
        closed = none_closed.copy()
        least = _least_loaded(full[i], first, closed)
        while least != OUT:
            offset, rank = least // len(groups), least % len(groups)
            if fullest_with(bins[i], groups, pace, offset, rank, cost, first[least]) <= fullest[i]:
                _take(i, least, bins, full, groups, pace, first, after, cost, side, fullest, counts, spread)
            else:
                closed[least] = True  # for good: bins only grow
            least = _least_loaded(full[i], first, closed)
    return side, both(fullest, counts, beside), asked


@jit(cache=True, example=_example)
def partition_all(
    place: Int64s, cost: Floats, groups: Int64s, pace: Floats, beside: Beside
) -> tuple[Int64s, Floats, int]:
    """Give every decoding request, in the order given, to the sub-batch with the smaller T_PIM (ties: 0).

    Arguments and result as for `partition_aligned`.
    """
    side = np.zeros(len(cost), dtype=np.int64)
    bins = np.zeros((2, pace.shape[0], pace.shape[1]))
    fullest = np.zeros(2)
    counts = np.zeros(2, dtype=np.int64)
    ranks = groups.shape[0]
    for index in range(len(cost)):
        times = both(fullest, counts, beside)
        i = 1 if beside.passes == 2 and times[3] < times[1] else 0
        offset, rank = place[index] // ranks, place[index] % ranks
        fullest[i] = max(fullest[i], add_to_ranks(bins[i], groups, pace, offset, rank, cost, index))
        counts[i] += 1
        side[index] = i
    return side, both(fullest, counts, beside), len(cost)


def _sides() -> tuple[Int64s, Floats, Int64s, Int64s, Floats]:
    """One request, of side 0, on one rank."""
    place, cost, groups, pace, _ = _example()
    return place, cost, place, groups, pace


@jit(cache=True, example=_sides)
def fullest_ranks(place: Int64s, cost: Floats, side: Int64s, groups: Int64s, pace: Floats) -> Floats:
    """t_d of each sub-batch: the time of its slowest rank, ps, shape (2,)."""
    bins = np.zeros((2, pace.shape[0], pace.shape[1]))
    fullest = np.zeros(2)
    ranks = groups.shape[0]
    for index in range(len(cost)):
        i = side[index]
        if i != OUT:
            offset, rank = place[index] // ranks, place[index] % ranks
            fullest[i] = max(fullest[i], add_to_ranks(bins[i], groups, pace, offset, rank, cost, index))
    return fullest

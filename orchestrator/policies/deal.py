"""The loops of the policies, compiled: dealing requests to two sub-batches, one after the other.

All of it is + - * / and comparisons in a fixed order, so that a plan is the same on any computer.
"""

import numpy as np

from l3sim.units import Floats, Int64s
from orchestrator.compiling import compiled
from orchestrator.predictor import table_at

OUT = -1


@compiled
def deal_lighter(tokens: Int64s) -> Int64s:
    """Side (0 or 1) of each request: the one with fewer tokens so far, ties 0."""
    side = np.zeros(len(tokens), dtype=np.int64)
    loads = np.zeros(2, dtype=np.int64)
    for index in range(len(tokens)):
        side[index] = 1 if loads[1] < loads[0] else 0
        loads[side[index]] += tokens[index]
    return side


@compiled
def _add(bins: Floats, groups: Int64s, pace: Floats, offset: int, rank: int, cost: float) -> float:
    """Add a request to its bins; the longest time among them."""
    fullest = 0.0
    for r in range(groups.shape[1]):
        count = groups[rank, r]
        if count > 0:
            bins[offset, r] += count * cost * pace[offset, r]
            fullest = max(fullest, bins[offset, r])
    return fullest


@compiled
def predicted(
    side: int,
    fullest: Floats,
    counts: Int64s,
    chunk_tokens: Int64s,
    prefill_ps: Floats,
    fc_grid: Floats,
    fc_ps: Floats,
    comm: Floats,
) -> tuple[float, float]:
    """(T_GPU_i, T_PIM_i) a layer while sub-batch i attends.

    T_GPU_i = t_p(i) + t_batch(other); T_PIM_i = t_d(slowest rank of i) + t_comm(n_di, c_po).
    `comm` is (fixed, per request, fixed with chunks, per chunk token).
    """
    other = 1 - side
    tokens = counts[other] + chunk_tokens[other]
    gpu = prefill_ps[side]
    if tokens > 0:
        gpu += table_at(fc_grid, fc_ps, float(tokens))
    pim = fullest[side]
    if counts[side] > 0:
        pim += comm[0] + comm[1] * counts[side]
    if chunk_tokens[other] > 0:
        pim += comm[2] + comm[3] * chunk_tokens[other]
    return gpu, pim


@compiled
def both(
    fullest: Floats,
    counts: Int64s,
    chunk_tokens: Int64s,
    prefill_ps: Floats,
    fc_grid: Floats,
    fc_ps: Floats,
    comm: Floats,
) -> Floats:
    """(T_GPU_0, T_PIM_0, T_GPU_1, T_PIM_1) a layer."""
    result = np.zeros(4)
    for i in range(2):
        gpu, pim = predicted(i, fullest, counts, chunk_tokens, prefill_ps, fc_grid, fc_ps, comm)
        result[2 * i], result[2 * i + 1] = gpu, pim
    return result


@compiled
def _fullest(bins: Floats, groups: Int64s, offset: int, rank: int) -> float:
    """Longest time among the bins of a placement."""
    fullest = 0.0
    for r in range(groups.shape[1]):
        if groups[rank, r] > 0:
            fullest = max(fullest, bins[offset, r])
    return fullest


@compiled
def _fullest_with(bins: Floats, groups: Int64s, pace: Floats, offset: int, rank: int, cost: float) -> float:
    """Longest time among the bins of a placement if a request of this group cost came to it."""
    fullest = 0.0
    for r in range(groups.shape[1]):
        count = groups[rank, r]
        if count > 0:
            fullest = max(fullest, bins[offset, r] + count * cost * pace[offset, r])
    return fullest


@compiled
def _chains(place: Int64s, places: int) -> tuple[Int64s, Int64s]:
    """Requests of each placement, chained in order: (first of each placement, next of each request)."""
    first = np.full(places, OUT, dtype=np.int64)
    after = np.full(len(place), OUT, dtype=np.int64)
    for index in range(len(place) - 1, -1, -1):
        after[index] = first[place[index]]
        first[place[index]] = index
    return first, after


@compiled
def _next_balanced(
    bins: Floats, groups: Int64s, pace: Floats, first: Int64s, cost: Floats, most: float
) -> int:
    """The least loaded placement whose first request keeps its bins within `most` (ties: earliest)."""
    ranks = groups.shape[0]
    best = OUT
    least = 0.0
    for place in range(len(first)):
        if first[place] == OUT:
            continue
        offset, rank = place // ranks, place % ranks
        full = _fullest(bins, groups, offset, rank)
        if best != OUT and (full > least or (full == least and first[place] > first[best])):
            continue
        if _fullest_with(bins, groups, pace, offset, rank, cost[first[place]]) <= most:
            best, least = place, full
    return best


@compiled
def _take(
    i: int,
    place: int,
    bins: Floats,
    groups: Int64s,
    pace: Floats,
    first: Int64s,
    after: Int64s,
    cost: Floats,
    side: Int64s,
    fullest: Floats,
    counts: Int64s,
) -> int:
    """Give the first request of a placement to sub-batch i; 1, the requests taken."""
    index = first[place]
    first[place] = after[index]
    offset, rank = place // groups.shape[0], place % groups.shape[0]
    fullest[i] = max(fullest[i], _add(bins[i], groups, pace, offset, rank, cost[index]))
    counts[i] += 1
    side[index] = i
    return 1


@compiled
def deal_aligned(
    place: Int64s,
    cost: Floats,
    groups: Int64s,
    pace: Floats,
    chunk_tokens: Int64s,
    prefill_ps: Floats,
    fc_grid: Floats,
    fc_ps: Floats,
    comm: Floats,
    step: int,
) -> tuple[Int64s, Floats]:
    """Deal decoding requests to two sub-batches until T_PIM > T_GPU for both; the rest stay OUT.

    `step` at a time go to each sub-batch that has T_PIM <= T_GPU. Each time the placement whose ranks the
    sub-batch loads least gives its first request, in the order given; so ranks stay balanced and whoever
    is first on its ranks cannot be passed over for ever, however long it is. Then the other ranks are
    filled up to the slowest, which costs no time: else one long request would leave them idle.

    Args:
        place: placement (offset * ranks + first rank) of each request, shape (n,).
        cost: predicted attention time of one head group of each, ps, shape (n,).
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
        pace: slowness of the rank that serves (offset, rank), 1 for the usual one, shape (R, ranks).

    Returns: (side of each request or OUT, (T_GPU_0, T_PIM_0, T_GPU_1, T_PIM_1)).
    """
    side = np.full(len(cost), OUT, dtype=np.int64)
    bins = np.zeros((2, pace.shape[0], pace.shape[1]))
    fullest = np.zeros(2)
    counts = np.zeros(2, dtype=np.int64)
    first, after = _chains(place, pace.size)
    left = len(cost)
    opened = True
    while opened and left > 0:
        opened = False
        for i in range(2):
            gpu, pim = predicted(i, fullest, counts, chunk_tokens, prefill_ps, fc_grid, fc_ps, comm)
            if pim > gpu:
                continue
            opened = True
            for _ in range(min(step, left)):
                place_now = _next_balanced(bins[i], groups, pace, first, cost, np.inf)
                left -= _take(i, place_now, bins, groups, pace, first, after, cost, side, fullest, counts)
    for i in range(2):
        place_now = _next_balanced(bins[i], groups, pace, first, cost, fullest[i])
        while place_now != OUT:
            _take(i, place_now, bins, groups, pace, first, after, cost, side, fullest, counts)
            place_now = _next_balanced(bins[i], groups, pace, first, cost, fullest[i])
    return side, both(fullest, counts, chunk_tokens, prefill_ps, fc_grid, fc_ps, comm)


@compiled
def deal_all(
    place: Int64s,
    cost: Floats,
    groups: Int64s,
    pace: Floats,
    chunk_tokens: Int64s,
    prefill_ps: Floats,
    fc_grid: Floats,
    fc_ps: Floats,
    comm: Floats,
) -> tuple[Int64s, Floats]:
    """Deal every decoding request, in the order given, to the sub-batch with the smaller T_PIM (ties: 0).

    Arguments and result as for `deal_aligned`.
    """
    side = np.zeros(len(cost), dtype=np.int64)
    bins = np.zeros((2, pace.shape[0], pace.shape[1]))
    fullest = np.zeros(2)
    counts = np.zeros(2, dtype=np.int64)
    ranks = groups.shape[0]
    for index in range(len(cost)):
        times = both(fullest, counts, chunk_tokens, prefill_ps, fc_grid, fc_ps, comm)
        i = 1 if times[3] < times[1] else 0
        offset, rank = place[index] // ranks, place[index] % ranks
        fullest[i] = max(fullest[i], _add(bins[i], groups, pace, offset, rank, cost[index]))
        counts[i] += 1
        side[index] = i
    return side, both(fullest, counts, chunk_tokens, prefill_ps, fc_grid, fc_ps, comm)


@compiled
def fullest_ranks(place: Int64s, cost: Floats, side: Int64s, groups: Int64s, pace: Floats) -> Floats:
    """t_d of each sub-batch: the time of its slowest rank, ps, shape (2,)."""
    bins = np.zeros((2, pace.shape[0], pace.shape[1]))
    fullest = np.zeros(2)
    ranks = groups.shape[0]
    for index in range(len(cost)):
        i = side[index]
        if i != OUT:
            offset, rank = place[index] // ranks, place[index] % ranks
            fullest[i] = max(fullest[i], _add(bins[i], groups, pace, offset, rank, cost[index]))
    return fullest


@compiled
def align_chunks(
    fullest: Floats,
    counts: Int64s,
    before: Int64s,
    before_ps: Floats,
    sizes0: Int64s,
    sizes0_ps: Floats,
    sizes1: Int64s,
    sizes1_ps: Floats,
    fc_grid: Floats,
    fc_ps: Floats,
    comm: Floats,
) -> tuple[int, int]:
    """Sizes (c_0, c_1) of the last chunks with the least |T_GPU_0 - T_PIM_0| + |T_GPU_1 - T_PIM_1|.

    Ties: the larger sum, then the larger c_0.

    Args:
        fullest, counts: t_d and decoding requests of each sub-batch, shape (2,).
        before, before_ps: chunk tokens and prefill time without the last chunk, shape (2,).
        sizes0, sizes0_ps: sizes that the last chunk of sub-batch 0 may take, and their prefill times.
    """
    best = (sizes0[0], sizes1[0])
    least = np.inf
    tokens = np.zeros(2, dtype=np.int64)
    prefill = np.zeros(2)
    for i in range(len(sizes0)):
        for j in range(len(sizes1)):
            tokens[0], tokens[1] = before[0] + sizes0[i], before[1] + sizes1[j]
            prefill[0], prefill[1] = before_ps[0] + sizes0_ps[i], before_ps[1] + sizes1_ps[j]
            times = both(fullest, counts, tokens, prefill, fc_grid, fc_ps, comm)
            gap = abs(times[0] - times[1]) + abs(times[2] - times[3])
            pair = (sizes0[i], sizes1[j])
            larger = pair[0] + pair[1] > best[0] + best[1]
            same = pair[0] + pair[1] == best[0] + best[1]
            if gap < least or (gap == least and (larger or (same and pair[0] > best[0]))):
                best, least = pair, gap
    return best

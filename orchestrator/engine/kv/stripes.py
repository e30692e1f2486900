"""KV in stripes over the ranks of a rankset, in closed form and compiled; see `l3sim.placement`.

What lies q ranks from a request's first one counts as a request placed there: so runs of blocks, or tokens,
of requests become counts by placement, and all tables by placement and rank serve as they are. Without
stripes (`stripe` 0) all of a head group lies at step 0, and everything here is what it is without this file.
"""

from typing import Any

import numpy as np

from l3sim.jit import jit
from l3sim.units import Int64s


def _one() -> Int64s:
    """Of one request, one placement or one rank."""
    return np.ones(1, dtype=np.int64)


@jit(no_refs=True)
def dealt(count: int, step: int, stripe: int, steps: int) -> int:
    """Of a head group's first `count` blocks, or tokens, those `step` ranks from its first one.

    Args:
        stripe: of the same unit; 0: all at step 0.
    """
    if stripe == 0:
        return count if step == 0 else 0
    full, rest = count // (stripe * steps), count % (stripe * steps)
    return full * stripe + min(max(rest - step * stripe, 0), stripe)


@jit(cache=True, example=lambda: (_one() - 1, _one() - 1, _one(), 1, 1, 1))
def runs_at(places: Int64s, first: Int64s, upto: Int64s, stripe: int, ranks: int, size: int) -> Int64s:
    """Blocks, or tokens, of the runs `first` to `upto` - 1 of requests at each placement: shape (size,).

    Args:
        places, first, upto: shape (n,).
    """
    result = np.zeros(size, dtype=np.int64)
    steps = ranks if stripe > 0 else 1
    for index in range(len(places)):
        if upto[index] <= first[index]:
            continue
        own = places[index] % ranks
        base = places[index] - own
        if base + ranks > size:  # GPU memory beside ranks, whole
            result[places[index]] += upto[index] - first[index]
            continue
        for step in range(steps):
            here = dealt(upto[index], step, stripe, ranks) - dealt(first[index], step, stripe, ranks)
            result[base + (own + step) % ranks] += here
    return result


@jit(cache=True, example=lambda: (0, 1, 1, _one()[None]))
def profile(first: int, upto: int, stripe: int, groups: Int64s) -> Int64s:
    """Blocks, or tokens, x head groups of one run, d ranks from the request's first one: shape (ranks,).

    Args:
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
    """
    ranks = len(groups)
    result = np.zeros(ranks, dtype=np.int64)
    for step in range(ranks if stripe > 0 else 1):
        here = dealt(upto, step, stripe, ranks) - dealt(first, step, stripe, ranks)
        if here != 0:
            for distance in range(ranks):
                result[(distance + step) % ranks] += groups[0, distance] * here
    return result


def _touch() -> tuple[Any, ...]:
    """One request on one rank."""
    return _one() - 1, _one(), 0, 1, 1, _one()[None]


@jit(cache=True, example=_touch)
def on_rank(places: Int64s, blocks: Int64s, rank: int, stripe: int, ranks: int, pieces: Int64s) -> np.ndarray:
    """Whether each request has some of its first so many blocks on a rank: shape (n,).

    Args:
        pieces: (layer, head group) pairs of a placement on each rank, shape (P, P).
    """
    result = np.zeros(len(places), dtype=np.bool_)
    for index in range(len(places)):
        own = places[index] % ranks
        base = places[index] - own
        whole = base + ranks > len(pieces)  # in GPU memory beside ranks
        for step in range(ranks if stripe > 0 and not whole else 1):
            # Where nothing is booked yet, its first rank counts.
            here = step == 0 or dealt(blocks[index], step, stripe, ranks) > 0
            if here and pieces[base + (own + step) % ranks, rank] > 0:
                result[index] = True
    return result


def longest(block_bytes: Int64s, room_bytes: Int64s, stripe: int, ranks: int) -> Int64s:
    """Blocks of the longest request that an empty replica holds at each placement, striped: shape (P,).

    Args:
        block_bytes: that a block of a request at a placement takes on each rank, shape (P, P).
        room_bytes: of each rank, shape (P,).
    """
    size = len(room_bytes)
    own = np.arange(size) % ranks
    steps = np.arange(ranks)
    there = (np.arange(size) - own)[:, None] + (own[:, None] + steps) % ranks
    enough = np.zeros(size, dtype=np.int64)
    # What all ranks together hold bounds it.
    lacks = np.full(size, int(room_bytes.sum()) // max(int(block_bytes[0].sum()), 1) + 1)
    while ((lacks - enough) > 1).any():
        middle = (enough + lacks) // 2
        full, rest = np.divmod(middle, stripe * ranks)
        here = full[:, None] * stripe + np.clip(rest[:, None] - stripe * steps, 0, stripe)
        taken = np.einsum("pq,pqr->pr", here, block_bytes[there])
        fits = (taken <= room_bytes).all(axis=1)
        enough, lacks = np.where(fits, middle, enough), np.where(fits, lacks, middle)
    return enough

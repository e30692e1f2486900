"""The loops of `costs/assembler.py`, compiled: what every window needs, whatever it holds.

Rows are `RoundCosts.rows`, with their `PARTS`. A table `gpu` has a row an operation, in the order of
`GPU_OPS`: shape (operations, 2, rounds).
"""

import numpy as np

from l3sim.jit import jit
from l3sim.orchestrator.engine.timeline.base import PARTS, Parts, RoundCosts
from l3sim.units import Int64s
from l3sim.work import Op

#: Operations of the GPU's tables.
GPU_OPS = (Op.EMBED, Op.BLOCK_IN, Op.BLOCK_OUT, Op.HEAD, Op.ATTEND_PREFILL)
_EMBED, _BLOCK_IN, _BLOCK_OUT, _HEAD, _PREFILL = range(len(GPU_OPS))


def _example() -> tuple[Int64s, Parts, Int64s]:
    """Rows, parts and GPU costs of one round on one rankset."""
    gpu = np.ones((len(GPU_OPS), 2, 1), dtype=np.int64)
    return RoundCosts.nothing(1, 1).rows, PARTS, gpu


@jit(cache=True, example=_example)
def enter_blocks(rows: Int64s, parts: Parts, gpu: Int64s) -> None:
    """Write b_first, b_mid, b_last and p of every round."""
    b_first, b_mid, b_last, p_cost, _ = parts
    for r in range(len(rows)):
        for s in range(2):
            rows[r, b_first + s] = gpu[_EMBED, s, r] + gpu[_BLOCK_IN, s, r]
            rows[r, b_mid + s] = gpu[_BLOCK_OUT, s, r] + gpu[_BLOCK_IN, s, r]
            rows[r, b_last + s] = gpu[_BLOCK_OUT, s, r] + gpu[_HEAD, s, r]
            rows[r, p_cost + s] = gpu[_PREFILL, s, r]


def _one_rank() -> tuple[Int64s, Parts, Int64s, int, Int64s]:
    """One rank that attends for one round."""
    rows, parts, _ = _example()
    return rows, parts, np.ones((2, 1, 1, 1), dtype=np.int64), 1, np.ones(1, dtype=np.int64)


@jit(cache=True, example=_one_rank)
def enter_attention(rows: Int64s, parts: Parts, attend: Int64s, ranksets: int, layers: Int64s) -> Int64s:
    """Write a, the slowest rank of each rankset, of every round.

    Args:
        attend: shape (2, P, classes, rounds), ranks as rankset * ranks + rank.
        layers: of each class, shape (R,).

    Returns: time of each rank over both passes and all layers, shape (P, rounds).
    """
    _, places, _, rounds = attend.shape
    ranks = places // ranksets
    square = ranksets * ranksets
    result = np.zeros((places, rounds), dtype=np.int64)
    for s in range(2):
        first = parts[-1] + 2 * square + s * square
        for place in range(places):
            j = place // ranks
            for c in range(ranksets):
                cell, weight = first + c * ranksets + j, layers[c]
                for r in range(rounds):
                    duration = attend[s, place, c, r]
                    result[place, r] += weight * duration
                    rows[r, cell] = max(rows[r, cell], duration)
    return result


@jit(cache=True, example=lambda: (*_example(), 1, *np.ones((3, 2), dtype=np.int64), False))
def complete(
    rows: Int64s,
    parts: Parts,
    gpu: Int64s,
    ranksets: int,
    works: Int64s,
    decodes: Int64s,
    prefills: Int64s,
    on_gpu: bool,
) -> bool:
    """Whether every piece of work of the first round has a cost, and nothing else has.

    Args:
        works, decodes, prefills: whether a pass has anything, decoding requests, chunks: shape (2,), 0 or 1.
        on_gpu: the GPU attends itself: nothing crosses a link.
    """
    _, _, _, p_cost, tables = parts
    row, square = rows[0], ranksets * ranksets
    for s in range(2):
        for op in (_EMBED, _BLOCK_IN, _BLOCK_OUT, _HEAD):
            if (gpu[op, s, 0] > 0) != works[s]:
                return False
        down = tables + s * square
        attends = moves = False
        for cell in range(down, down + square):
            here = row[cell + 2 * square] > 0
            attends |= here
            moves |= row[cell + 6 * square] > 0
            crosses = row[cell] > 0, row[cell + 4 * square] > 0
            if not on_gpu and (crosses[0] != here or crosses[1] != here):
                return False
        if (row[p_cost + s] > 0) != prefills[s] or attends != decodes[s]:
            return False
        if not on_gpu and moves != prefills[s]:
            return False
    return True

"""The loops of `costs/assembler.py`, compiled: what every window needs, whatever it holds.

Rows are `RoundCosts.rows`. A table `gpu` has a row an operation, in the order of
`GPU_OPS`: shape (operations, 2, rounds).
"""

import numpy as np

from l3sim.jit import jit
from l3sim.orchestrator.engine.timeline.base import B_FIRST, B_LAST, B_MID, P_COST, TABLES, RoundCosts
from l3sim.units import Int64s
from l3sim.work import Op

#: Operations of the GPU's tables.
#: The last one where GPUs attend beside modules only: with those alone it is a task of its own.
GPU_OPS = (Op.EMBED, Op.BLOCK_IN, Op.BLOCK_OUT, Op.HEAD, Op.ATTEND_PREFILL, Op.ATTEND_DECODE)
_EMBED, _BLOCK_IN, _BLOCK_OUT, _HEAD, _PREFILL, _DECODE = range(len(GPU_OPS))


def _example() -> tuple[Int64s, Int64s]:
    """Rows and GPU costs of one round on one rankset."""
    gpu = np.ones((len(GPU_OPS), 2, 1), dtype=np.int64)
    return RoundCosts.nothing(1, 1).rows, gpu


@jit(cache=True, example=_example)
def enter_blocks(rows: Int64s, gpu: Int64s) -> None:
    """Write b_first, b_mid, b_last and p of every round."""
    for r in range(len(rows)):
        for s in range(2):
            rows[r, B_FIRST + s] = gpu[_EMBED, s, r] + gpu[_BLOCK_IN, s, r]
            rows[r, B_MID + s] = gpu[_BLOCK_OUT, s, r] + gpu[_BLOCK_IN, s, r]
            rows[r, B_LAST + s] = gpu[_BLOCK_OUT, s, r] + gpu[_HEAD, s, r]
            rows[r, P_COST + s] = gpu[_PREFILL, s, r] + gpu[_DECODE, s, r]


def _one_rank() -> tuple[Int64s, Int64s, int, Int64s]:
    """One rank that attends for one round."""
    rows, _ = _example()
    return rows, np.ones((2, 1, 1, 1), dtype=np.int64), 1, np.ones(1, dtype=np.int64)


@jit(cache=True, example=_one_rank)
def enter_attention(rows: Int64s, attend: Int64s, ranksets: int, layers: Int64s) -> Int64s:
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
        first = TABLES + 2 * square + s * square
        for place in range(places):
            j = place // ranks
            for c in range(ranksets):
                cell, weight = first + c * ranksets + j, layers[c]
                for r in range(rounds):
                    duration = attend[s, place, c, r]
                    result[place, r] += weight * duration
                    rows[r, cell] = max(rows[r, cell], duration)
    return result


@jit(cache=True, example=lambda: (*_example(), 1, *np.ones((4, 2), dtype=np.int64), False))
def complete(
    rows: Int64s,
    gpu: Int64s,
    ranksets: int,
    works: Int64s,
    decodes: Int64s,
    prefills: Int64s,
    crosses: Int64s,
    on_gpu: bool,
) -> bool:
    """Whether every piece of work of the first round has a cost, and nothing else has.

    Args:
        works, prefills: whether a pass has anything, chunks: shape (2,), 0 or 1.
        decodes, crosses: whether requests decode in modules (with `on_gpu`: at all), and KV of chunks goes
            there.
        on_gpu: the GPU attends itself: nothing crosses a link.
    """
    row, square = rows[0], ranksets * ranksets
    for s in range(2):
        for op in (_EMBED, _BLOCK_IN, _BLOCK_OUT, _HEAD):
            if (gpu[op, s, 0] > 0) != works[s]:
                return False
        down = TABLES + s * square
        attends = moves = False
        for cell in range(down, down + square):
            here = row[cell + 2 * square] > 0
            attends |= here
            moves |= row[cell + 6 * square] > 0
            ways = row[cell] > 0, row[cell + 4 * square] > 0
            if not on_gpu and (ways[0] != here or ways[1] != here):
                return False
        if (gpu[_PREFILL, s, 0] > 0) != prefills[s] or attends != decodes[s]:
            return False
        if not on_gpu and moves != crosses[s]:
            return False
    return True

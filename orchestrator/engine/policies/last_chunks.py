"""Sizes of the last chunks of two sub-batches that align their times best. Compiled, as `partition` is."""

from typing import NamedTuple

import numpy as np

from l3sim.jit import jit
from l3sim.units import Floats, Int64s


class LastChunk(NamedTuple):
    """What the last chunk of a sub-batch may be cut to, and what that makes of its pass; shapes (n,).

    Attributes:
        tokens: of the last chunk.
        prefill_ps, batch_ps, moved_ps: t_p, t_batch and KV transfer of the whole pass.
    """

    tokens: Int64s
    prefill_ps: Floats
    batch_ps: Floats
    moved_ps: Floats


def _last_chunks() -> tuple[Floats, int, float, LastChunk, LastChunk]:
    """One choice for each of two sub-batches."""
    one = LastChunk(np.zeros(1, dtype=np.int64), np.ones(1), np.ones(1), np.ones(1))
    return np.zeros(2), 2, 1.0, one, one


@jit(cache=True, example=_last_chunks)
def align_chunks(
    attend_ps: Floats, passes: int, target: float, zero: LastChunk, one: LastChunk
) -> tuple[int, int]:
    """Sizes (c_0, c_1) of the last chunks with the least sum over i of |target * T_GPU_i - T_PIM_i|.

    Ties: the larger sum, then the larger c_0.

    Args:
        attend_ps: T_PIM_i but for the KV of chunks, shape (2,).
        zero, one: of sub-batches 0 and 1; of one that has no chunk or is not used, a single entry.
    """
    best = (zero.tokens[0], one.tokens[0])
    least = np.inf
    for i in range(len(zero.tokens)):
        for j in range(len(one.tokens)):
            if passes == 2:
                gap = abs(target * (zero.prefill_ps[i] + one.batch_ps[j]) - attend_ps[0] - one.moved_ps[j])
                gap += abs(target * (one.prefill_ps[j] + zero.batch_ps[i]) - attend_ps[1] - zero.moved_ps[i])
            else:
                gap = abs(target * (zero.prefill_ps[i] + zero.batch_ps[i]) - attend_ps[0] - zero.moved_ps[i])
            pair = (zero.tokens[i], one.tokens[j])
            larger = pair[0] + pair[1] > best[0] + best[1]
            same = pair[0] + pair[1] == best[0] + best[1]
            if gap < least or (gap == least and (larger or (same and pair[0] > best[0]))):
                best, least = pair, gap
    return best

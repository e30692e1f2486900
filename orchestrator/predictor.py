"""What policies know of the future: tables that the devices filled once, at session start.

Every device answers a small grid of windows that never happen; between the grid's points we interpolate
linearly, beyond the last one we continue its segment. A plan calls no device. All times are float64
picoseconds of one layer; they are compared, never added to the clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.units import Floats, Int64s
from l3sim.work import Chunk
from orchestrator.compiling import compiled


@dataclass(frozen=True)
class Predictor:
    """Predicted times of one replica, a layer.

    Attributes:
        fc_grid, fc_ps: t_batch, the fully connected layers over so many tokens; shape (tokens,).
        chunk_grid, finished_grid, chunk_ps: t_p, prefill attention over chunk and finished tokens; shapes
            (c,), (f,), (c, f).
        context_grid, group_ps: decode attention of one head group over so many tokens; shape (contexts,).
        pace: slowness of the rank that serves (offset, rank), 1.0 for the usual one: shape (R, ranks).
        comm: t_comm as (fixed, per decoding request, fixed with chunks, per chunk token).
    """

    fc_grid: Floats
    fc_ps: Floats
    chunk_grid: Floats
    finished_grid: Floats
    chunk_ps: Floats
    context_grid: Floats
    group_ps: Floats
    pace: Floats
    comm: Floats

    def prefill_ps(self, chunks: Sequence[Chunk]) -> float:
        """t_p: prefill attention of the chunks of one pass."""
        if not chunks:
            return 0.0
        tokens = np.array([chunk.tokens for chunk in chunks], dtype=np.int64)
        finished = np.array([chunk.finished_tokens for chunk in chunks], dtype=np.int64)
        return float(self.chunks_ps(tokens, finished).sum())

    def chunks_ps(self, tokens: Int64s, finished: Int64s) -> Floats:
        """t_p of each chunk of so many tokens after so many finished ones: shape (n,)."""
        return plane_at(self.chunk_grid, self.finished_grid, self.chunk_ps, tokens, finished)

    def attend_group_ps(self, tokens: Int64s) -> Floats:
        """t_d of one head group of requests that attend so many tokens: shape of `tokens`."""
        return line_at(self.context_grid, self.group_ps, tokens)


@compiled
def table_at(grid: Floats, values: Floats, at: float) -> float:
    """Value of a piecewise linear table: its first below it, its last segment continued above it."""
    last = len(grid) - 1
    if at <= grid[0] or last == 0:
        return float(values[0])
    segment = 0
    while segment < last - 1 and grid[segment + 1] < at:
        segment += 1
    share = (at - grid[segment]) / (grid[segment + 1] - grid[segment])
    return float(values[segment] + share * (values[segment + 1] - values[segment]))


@compiled
def line_at(grid: Floats, values: Floats, at: Int64s) -> Floats:
    """`table_at` of many points: shape of `at`."""
    result = np.empty(len(at))
    for index in range(len(at)):
        result[index] = table_at(grid, values, float(at[index]))
    return result


@compiled
def plane_at(rows: Floats, columns: Floats, values: Floats, row: Int64s, column: Int64s) -> Floats:
    """`table_at` over two grids, rows first: shape of `row`."""
    result = np.empty(len(row))
    line = np.empty(len(columns))
    for index in range(len(row)):
        for c in range(len(columns)):
            line[c] = table_at(rows, values[:, c], float(row[index]))
        result[index] = table_at(columns, line, float(column[index]))
    return result

"""What policies know of the future: the time of each side, a layer, before it has run.

While sub-batch i attends, the GPU runs i's prefill attention and the fully connected layers of the other, o:

    T_GPU_i = t_p(chunks of i)           + t_batch(chunk tokens and decoding requests of o)
    T_PIM_i = t_d(slowest rank of i)     + t_comm(decoding requests of i, chunk tokens of o)

A `Predictor` gives the four terms. `Tables` is made of what the devices estimate at session start;
`learning/` learns them from the rounds that the run itself takes; `oracle.py` asks the devices' own models.
A plan calls no device. All times are float64 picoseconds of one layer; they are compared, never added to
the clock.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.jit import jit
from l3sim.placement import Layout
from l3sim.units import Floats, Int64s
from l3sim.work import Chunk


class Predictor(ABC):
    """Predicted times of one replica, a layer.

    Attributes:
        pace: slowness of the rank that serves (offset, rank), 1.0 for the usual one: shape (R, ranks).
        comm: t_comm as (fixed, per decoding request, fixed with chunks, per chunk token): shape (4,).
    """

    pace: Floats
    comm: Floats

    @abstractmethod
    def prefill_ps(self, chunks: Sequence[Chunk], last: Int64s) -> Floats:
        """t_p of a pass with these chunks, the last of them cut to each of `last` tokens: shape of `last`."""

    @abstractmethod
    def batch_ps(self, chunk_tokens: Int64s, decoding: Int64s) -> Floats:
        """t_batch over this many chunk tokens and decoding requests: their common shape (n,), 0 for none."""

    @abstractmethod
    def attend_group_ps(self, tokens: Int64s) -> Floats:
        """t_d of one head group of requests that attend this many tokens: shape of `tokens`."""

    def gpu_attend_ps(self, requests: Int64s, tokens: Int64s) -> Floats:  # noqa: ARG002 - see Tables
        """Decode attention on GPUs beside modules, of so many requests that attend so many tokens in all.

        Raises:
            InvariantBroken: this predictor knows nothing of it.
        """
        raise InvariantBroken(f"{type(self).__name__} does not predict GPUs that attend beside modules")

    def attend_ps(self, layout: Layout, tokens: Int64s) -> Floats:
        """t_d of one head group of requests on each rank that may hold some of it: shape (n, steps).

        Args:
            tokens: attended by each, shape (n,).
        """
        own = layout.step_tokens(tokens)
        costs = self.attend_group_ps(own.ravel()).reshape(own.shape)
        return np.where(own > 0, costs, 0.0) if layout.striped else costs

    def pass_prefill_ps(self, chunks: Sequence[Chunk]) -> float:
        """t_p of a pass with these chunks as they are."""
        if not chunks:
            return 0.0
        return float(self.prefill_ps(chunks, np.array([chunks[-1].tokens], dtype=np.int64))[0])

    def batch_line_ps(self, chunk_tokens: int, most: int) -> Floats:
        """t_batch beside this many chunk tokens of 0, 1, ..., `most` decoding requests: shape (most + 1,)."""
        decoding = np.arange(most + 1, dtype=np.int64)
        return self.batch_ps(np.full_like(decoding, chunk_tokens), decoding)

    def idle_lines_ps(self, most: int) -> Floats:
        """t_batch without chunks, of 0, 1, ... decoding requests, to `most` at least; a row a sub-batch."""
        line = self.batch_line_ps(0, most)
        return np.stack([line, line])


@dataclass(frozen=True)
class Tables(Predictor):
    """The devices' own estimates on a small grid of windows that never happen (`estimate_grid.py`).

    Between the grid's points we interpolate linearly, beyond the last one we continue its segment.

    Attributes:
        fc_grid, fc_ps: t_batch, the fully connected layers over this many tokens; shape (tokens,).
        chunk_grid, finished_grid, chunk_ps: t_p, prefill attention over chunk and finished tokens; shapes
            (c,), (f,), (c, f).
        context_grid, group_ps: decode attention of one head group over this many tokens; shape (contexts,).
        count_grid, beside_ps: decode attention on the GPUs beside modules, over requests and the tokens that
            each attends; shapes (counts,), (counts, contexts); zeros where they do not attend.
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
    count_grid: Floats = field(default_factory=lambda: np.ones(1))
    beside_ps: Floats = field(default_factory=lambda: np.zeros((1, 1)))

    def gpu_attend_ps(self, requests: Int64s, tokens: Int64s) -> Floats:
        """Decode attention on the GPUs beside modules, of so many requests that attend so many tokens in all.

        Both of one shape, (n,), as is the result; 0 for no request. They are taken to be equally long.
        """
        each = tokens // np.maximum(requests, 1)
        times = plane_at(self.count_grid, self.context_grid, self.beside_ps, requests, each)
        return np.where(requests > 0, times, 0.0)

    def prefill_ps(self, chunks: Sequence[Chunk], last: Int64s) -> Floats:
        """See Predictor.prefill_ps: the sum over the chunks."""
        before = self.chunks_ps(
            np.array([chunk.tokens for chunk in chunks[:-1]], dtype=np.int64),
            np.array([chunk.finished_tokens for chunk in chunks[:-1]], dtype=np.int64),
        )
        whole: Floats = self.chunks_ps(last, np.full_like(last, chunks[-1].finished_tokens)) + before.sum()
        return whole

    def chunks_ps(self, tokens: Int64s, finished: Int64s) -> Floats:
        """t_p of each chunk of this many tokens after that many finished ones: shape (n,)."""
        return plane_at(self.chunk_grid, self.finished_grid, self.chunk_ps, tokens, finished)

    def batch_ps(self, chunk_tokens: Int64s, decoding: Int64s) -> Floats:
        """See Predictor.batch_ps."""
        tokens = chunk_tokens + decoding
        return np.where(tokens > 0, line_at(self.fc_grid, self.fc_ps, tokens), 0.0)

    def attend_group_ps(self, tokens: Int64s) -> Floats:
        """See Predictor.attend_group_ps."""
        return line_at(self.context_grid, self.group_ps, tokens)


@jit()
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


@jit(cache=True, example=lambda: (np.zeros(2), np.zeros(2), np.zeros(1, dtype=np.int64)))
def line_at(grid: Floats, values: Floats, at: Int64s) -> Floats:
    """`table_at` of many points: shape of `at`."""
    result = np.empty(len(at))
    for index in range(len(at)):
        result[index] = table_at(grid, values, float(at[index]))
    return result


def _plane() -> tuple[Floats, Floats, Floats, Int64s, Int64s]:
    """One point on a table of a single value."""
    one, point = np.zeros(1), np.zeros(1, dtype=np.int64)
    return one, one, np.zeros((1, 1)), point, point


@jit(cache=True, example=_plane)
def plane_at(rows: Floats, columns: Floats, values: Floats, row: Int64s, column: Int64s) -> Floats:
    """`table_at` over two grids, rows first: shape of `row`."""
    result = np.empty(len(row))
    line = np.empty(len(columns))
    for index in range(len(row)):
        for c in range(len(columns)):
            line[c] = table_at(rows, values[:, c], float(row[index]))
        result[index] = table_at(columns, line, float(column[index]))
    return result

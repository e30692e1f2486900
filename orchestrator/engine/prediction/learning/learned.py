"""A predictor that is trained on the rounds seen so far, and when.

Cold start: until `FIRST_ROUNDS` rounds have been seen, and for any term of which fewer than `LEAST_SAMPLES`
samples with distinct features are there, the tables of the devices' estimates speak. Training comes at the
first scheduling point at which the rounds seen have passed 256, 512, 1,024, ...: plans are made at scheduling
points only, and those are the same however windows are cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from l3sim.orchestrator.engine.costs.assembler import WindowCosts
from l3sim.orchestrator.engine.prediction.learning.forest import Forest, distinct, train
from l3sim.orchestrator.engine.prediction.learning.linear import fit
from l3sim.orchestrator.engine.prediction.learning.samples import COLUMN, Samples
from l3sim.orchestrator.engine.prediction.predictor import Predictor, Tables
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.placement import Layout
from l3sim.units import Floats, Int64s
from l3sim.work import Chunk, Window

#: Rounds before the first training; each further one comes when the rounds seen have doubled.
FIRST_ROUNDS = 256
#: Samples with distinct features below which a term is not learned: ours.
LEAST_SAMPLES = 32

#: Features and time of each term that a forest predicts.
FOREST_TERMS = {
    "t_p": ("chunk_tokens", "finished_tokens"),
    "t_batch": ("chunk_tokens", "decoding"),
}
#: Of each linear one; "" is a constant 1. t_kv is the part of t_comm that prefill KV takes.
LINEAR_TERMS = {
    "t_d": ("rank_tokens", "rank_groups"),
    "t_comm": ("", "decoding"),
    "t_kv": ("", "chunk_tokens"),
}


def samples_of(term: str, passes: Floats) -> tuple[Floats, Floats]:
    """(features of shape (n, 2), times of shape (n,)) of a term, of the passes that have it.

    Args:
        passes: shape (m, WIDTH), columns as `samples.COLUMN`.
    """
    names = FOREST_TERMS.get(term) or LINEAR_TERMS[term]
    passes = passes[passes[:, COLUMN[term]] > 0]
    columns = [passes[:, COLUMN[name]] if name else np.ones(len(passes)) for name in names]
    return np.stack(columns, axis=1), passes[:, COLUMN[term]].copy()


@dataclass(frozen=True, eq=False)
class LazyForest:
    """A forest that grows when it is first asked: of a term that no plan asks for, it never does.

    Attributes:
        features, times: samples with distinct features, shapes (n, 2) and (n,).
    """

    features: Floats
    times: Floats
    seed: int

    @cached_property
    def forest(self) -> Forest:
        """The forest, trained now or before."""
        return train(self.features, self.times, self.seed)

    def saw(self, features: Floats, times: Floats) -> bool:
        """Whether it grows from these very samples."""
        return np.array_equal(self.features, features) and np.array_equal(self.times, times)


@dataclass(frozen=True)
class LearnedPredictor(Predictor):
    """Forests and lines where there were samples, tables where not.

    Attributes:
        cold: the tables.
        prefill, batch: t_p over (chunk, finished tokens); t_batch over (chunk tokens, decoding requests).
        batch_knows_chunks: whether `batch` has seen enough passes with chunks to speak of them.
        attend: t_d of a head group as (per token, fixed).
    """

    cold: Tables
    prefill: LazyForest | None
    batch: Forest | None
    batch_knows_chunks: bool
    attend: tuple[float, float] | None
    comm: Floats
    #: The lines of plans without chunks, which are most of them: computed once for as many requests as came.
    _idle: list[Floats] = field(default_factory=list, compare=False)

    @property
    def pace(self) -> Floats:  # type: ignore[override]
        """As the devices estimated it."""
        return self.cold.pace

    def prefill_ps(self, chunks: Sequence[Chunk], last: Int64s) -> Floats:
        """See Predictor.prefill_ps."""
        if self.prefill is None:
            return self.cold.prefill_ps(chunks, last)
        tokens = last + sum(chunk.tokens for chunk in chunks[:-1])
        return self.prefill.forest.at(
            tokens, np.full_like(last, sum(chunk.finished_tokens for chunk in chunks))
        )

    def batch_ps(self, chunk_tokens: Int64s, decoding: Int64s) -> Floats:
        """See Predictor.batch_ps."""
        cold = self.batch is None or (not self.batch_knows_chunks and bool(chunk_tokens.any()))
        if self.batch is None or cold:
            return self.cold.batch_ps(chunk_tokens, decoding)
        return np.where(chunk_tokens + decoding > 0, self.batch.at(chunk_tokens, decoding), 0.0)

    def batch_line_ps(self, chunk_tokens: int, most: int) -> Floats:
        """See Predictor.batch_line_ps: each tree is walked once."""
        if self.batch is None or (chunk_tokens and not self.batch_knows_chunks):
            return self.cold.batch_line_ps(chunk_tokens, most)
        return (
            self.batch.line(chunk_tokens, most) if chunk_tokens else self.idle_lines_ps(most)[0, : most + 1]
        )

    def idle_lines_ps(self, most: int) -> Floats:
        """See Predictor.idle_lines_ps."""
        if self.batch is None:
            return super().idle_lines_ps(most)
        if not self._idle or self._idle[0].shape[1] <= most:
            line = self.batch.line(0, 2 * most)
            line[0] = 0.0
            self._idle[:] = [np.stack([line, line])]
        return self._idle[0]

    def attend_group_ps(self, tokens: Int64s) -> Floats:
        """See Predictor.attend_group_ps."""
        if self.attend is None:
            return self.cold.attend_group_ps(tokens)
        return np.asarray(tokens * self.attend[0] + self.attend[1], dtype=np.float64)


class Trainer:
    """Observes the rounds of one replica, and trains.

    Attributes:
        predictor: the newest.
        trainings: so far.
    """

    def __init__(self, layout: Layout, cold: Tables, table: RequestTable, seed: tuple[int, int]) -> None:
        self.samples = Samples(layout, cold.pace, table, seed)
        self.predictor: Predictor = cold
        self.trainings = 0
        self._cold = cold
        self._forests = ForestCache(np.random.SeedSequence(seed[0], spawn_key=(3, seed[1])))
        self._next_rounds = FIRST_ROUNDS

    def observe(self, window: Window, costs: WindowCosts, rounds: int) -> None:
        """Take notice of the rounds that were taken of a window, before their tokens are booked."""
        self.samples.observe(window, costs, rounds)

    @property
    def due(self) -> bool:
        """Whether to train before the next plan."""
        return self.samples.rounds >= self._next_rounds

    def train(self) -> None:
        """Train on what the reservoirs hold now."""
        while self._next_rounds <= self.samples.rounds:
            self._next_rounds *= 2
        self.predictor = learn(self._cold, self.samples.passes()[:, 1:], self._forests)
        self.trainings += 1


class ForestCache:
    """The forests of one replica; one whose samples are what they were is not grown again."""

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._seeds = dict(zip(FOREST_TERMS, seed.generate_state(2).tolist(), strict=True))
        self._known: dict[str, LazyForest] = {}

    def forest_of(self, term: str, passes: Floats) -> LazyForest | None:
        """Of a term, from its seed and these passes alone; None with too few samples."""
        features, times = distinct(*samples_of(term, passes))
        if len(times) < LEAST_SAMPLES:
            return None
        known = self._known.get(term)
        if known is None or not known.saw(features, times):
            known = self._known[term] = LazyForest(features, times, self._seeds[term])
        return known


def learn(cold: Tables, passes: Floats, forests: ForestCache) -> LearnedPredictor:
    """Train all terms on passes, shape (n, WIDTH); `cold` speaks for those with too few samples."""
    prefill, batch = forests.forest_of("t_p", passes), forests.forest_of("t_batch", passes)
    lines = {term: _line(term, passes) for term in LINEAR_TERMS}
    comm = cold.comm.copy()
    for part, term in ((slice(0, 2), "t_comm"), (slice(2, 4), "t_kv")):
        line = lines[term]
        if line is not None:
            comm[part] = line
    with_chunks = np.unique(passes[passes[:, COLUMN["chunk_tokens"]] > 0, COLUMN["chunk_tokens"]])
    knows = len(with_chunks) >= LEAST_SAMPLES
    # Every plan asks for t_batch: it is trained here, off the event loop.
    return LearnedPredictor(cold, prefill, batch.forest if batch else None, knows, lines["t_d"], comm)


def _line(term: str, passes: Floats) -> tuple[float, float] | None:
    features, times = samples_of(term, passes)
    if len(times) < LEAST_SAMPLES:
        return None
    a, b = fit(np.ascontiguousarray(features[:, 0]), np.ascontiguousarray(features[:, 1]), times)
    return None if np.isnan(a) else (a, b)

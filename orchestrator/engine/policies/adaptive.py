"""`adaptive`: every resident decodes, on the GPUs or in modules, in one batch or two, whichever is shorter.

At each scheduling point it predicts rounds (round_time.py) and decides, in this order:

    chunks                          as many tokens as the budget and the bound on gaps leave
    home of the head of the queue   GPU memory while it has room, else modules
    whether it enters               modules: while tokens a second still grow; gaps keep their bound
    one batch or two sub-batches    the shorter round

A request enters only if what residents are expected to hold later fits (forecast.py), by the lengths that
answers of this replica have had so far; so few lose their KV. Nothing looks at lengths to come.
"""

from dataclasses import replace

import numpy as np

from l3sim.orchestrator.engine.policies.admission import (
    GRAIN,
    PREFILL_KEYS,
    ChunkBounds,
    PrefillPlan,
    plan_prefills,
)
from l3sim.orchestrator.engine.policies.balance import deal, rank_loads
from l3sim.orchestrator.engine.policies.base import POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.policies.forecast import Forecast
from l3sim.orchestrator.engine.policies.homes import Homes
from l3sim.orchestrator.engine.policies.round_time import Load, RoundTimes
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.units import Floats, Int64s
from l3sim.work import NO_REQUESTS, Chunk, KvPlacement

#: Of the bound on gaps that predicted rounds may take: what predictions leave out, and their error.
CAUTION = 0.9


@POLICIES.register("adaptive")
class Adaptive(Policy):
    """Chooses by predicted throughput, under a bound on gaps if `--slo tbt_s` gives one."""

    reads = PREFILL_KEYS | {"token_budget", "gpu_kv_share"}
    placements = frozenset({"attention"})
    homes = True
    stripes = True

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:
        """See Policy.plan."""
        point = Point(view, predictor)
        budget = point.budget()
        homes = Homes(point)
        bounds = ChunkBounds(most=budget // 2, least=1, grain=1)
        prefills = plan_prefills(view, self.passes, homes.may_admit, bounds, homes.find)
        now = point.with_chunks(prefills.chunks)
        round_ps, passes = point.times.best(now)
        first, second = point.sides(passes)
        chunks = [tuple(some) for some in prefills.chunks]
        if passes == 1:
            chunks = [chunks[0] + chunks[1], ()]
        return Plan(
            (PassPlan(first, chunks[0]), PassPlan(second, chunks[1])),
            tuple(prefills.admitted),
            unchunked=prefills.unchunked,
            blocked=prefills.blocked,
            considered=_considered(point, now, round_ps, passes, budget, prefills),
        )


def _considered(
    point: "Point", now: Load, round_ps: float, passes: int, budget: int, prefills: PrefillPlan
) -> dict[str, float]:
    return {
        "layer_ps_one": point.times.one(now),
        "layer_ps_two": point.times.two(now),
        "layer_ps": round_ps,
        "sub_batches": passes,
        "on_gpus": now.beside,
        "in_modules": now.inside,
        "chunk_budget": budget,
        "expected_output": point.expected,
        "expected_tokens": point.forecast.peak(point.forecast.tokens),
        "admitted_to_gpus": sum(not point.in_modules(placed) for placed in prefills.admitted),
    }


class Point:
    """The residents of one scheduling point, and what their rounds take.

    Attributes:
        forecast: of the KV of residents.
        expected: tokens of an answer, by what is known so far.
    """

    def __init__(self, view: PlanView, predictor: Predictor) -> None:
        self.view, self.predictor = view, predictor
        self.times = RoundTimes(predictor)
        table, layout, held = view.table, view.layout, view.table.held
        rows = np.asarray(view.decoding)
        inside = table.offset[rows] < layout.ranksets
        self._beside, self._inside = rows[~inside], rows[inside]
        self.residents = np.concatenate([rows, np.array(view.prefilling, dtype=np.int64)])
        survival = view.lengths.survival(table.emitted[self.residents])
        self.forecast = Forecast(survival, view.kv.most_tokens)
        self.forecast.tokens += self.forecast.of(
            np.maximum(held, table.target)[self.residents], table.emitted[self.residents]
        )
        self.expected = float(self.forecast.left(np.zeros(1, dtype=np.int64))[0])
        self._now = Load(
            len(self._beside),
            int(held[self._beside].sum()) + len(self._beside),
            len(self._inside),
            float(self.loads(self._inside, held[self._inside] + 1).max()),
        )

    def in_modules(self, placed: KvPlacement) -> bool:
        """Whether a placement is in ranks."""
        return placed.offset < self.view.layout.ranksets

    def middle(self, requests: Int64s) -> Int64s:
        """Tokens that requests hold in the middle of what they are still to have, on average: shape (n,)."""
        table = self.view.table
        held = np.maximum(table.held[requests], table.target[requests])
        middle: Int64s = held + (self._left(requests) / 2).astype(np.int64)
        return middle

    def _left(self, requests: Int64s) -> Floats:
        table = self.view.table
        known = table.remaining(requests)
        if known is not None:
            return known.astype(np.float64)
        limit = table.limit[requests] - table.emitted[requests]
        left: Floats = np.minimum(self.forecast.left(table.emitted[requests]), limit)
        return left

    def loads(self, requests: Int64s, tokens: Int64s) -> Floats:
        """Time of each rank for requests that attend so many tokens: shape (R, ranks)."""
        layout, table = self.view.layout, self.view.table
        return self.loads_at(table.offset[requests] * layout.ranks + table.rank[requests], tokens)

    def loads_at(self, place: Int64s, tokens: Int64s) -> Floats:
        """The same of requests at placements: shapes (n,) to (R, ranks)."""
        layout, predictor = self.view.layout, self.predictor
        cost = predictor.attend_ps(layout, tokens)
        return rank_loads(place, cost, layout.group_counts, predictor.pace)

    def with_chunks(self, chunks: list[list[Chunk]]) -> Load:
        """The next round, with these chunks of both passes."""
        every = [chunk for some in chunks for chunk in some]
        tokens = sum(chunk.tokens for chunk in every)
        prefill = self.predictor.pass_prefill_ps(every)
        return replace(self._now, chunk_tokens=tokens, prefill_ps=prefill) if every else self._now

    def with_chunk(self, load: Load, tokens: int, finished: int) -> Load:
        """A load and a chunk of so many tokens, after finished ones."""
        if not tokens:
            return load
        prefill = self.predictor.pass_prefill_ps([Chunk(0, tokens, finished, last=False)])
        return replace(load, chunk_tokens=tokens, prefill_ps=prefill)

    def budget(self) -> int:
        """Chunk tokens of the next round: what decoding leaves of the budget, within the bound on gaps."""
        options = self.view.options
        left = options.token_budget - self._now.decoding
        most = min(max(left, options.min_chunk_tokens), options.max_chunk_tokens)
        bound = self.layer_bound_ps
        if bound is None or not self._now.decoding:
            return most
        while most > GRAIN and self.times.best(self.with_chunk(self._now, most, 0))[0] > bound:
            most = max(most // 2, GRAIN)
        return most

    @property
    def layer_bound_ps(self) -> float | None:
        """What a layer of a round may take; None: no bound."""
        gap = self.view.gap_ps
        return None if gap is None else CAUTION * gap / self.view.layers

    def sides(self, passes: int) -> tuple[Int64s, Int64s]:
        """The decoding requests of each pass, longest first."""
        view, table = self.view, self.view.table
        if passes == 1:
            return np.asarray(view.decoding), NO_REQUESTS
        inside = self._inside[np.lexsort((self._inside, -table.held[self._inside]))]
        beside = self._beside[np.lexsort((self._beside, -table.held[self._beside]))]
        layout = view.layout
        place = table.offset[inside] * layout.ranks + table.rank[inside]
        cost = self.predictor.attend_ps(layout, table.held[inside] + 1)
        side = deal(place, cost, layout.group_counts, self.predictor.pace)
        other = np.arange(len(beside)) % 4 % 3 > 0  # 0 1 1 0: two at a time, the longer to each in turn
        return (
            np.concatenate([inside[side == 0], beside[~other]]),
            np.concatenate([inside[side == 1], beside[other]]),
        )

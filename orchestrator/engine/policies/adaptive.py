"""`adaptive`: every resident decodes; where KV goes, and how many sub-batches there are, is what pays most.

At each scheduling point it predicts rounds (round_time.py) and decides, in this order:

    one batch or two sub-batches    the shorter round
    chunks                          as many tokens as the budget and the bound on gaps leave
    home of the head of the queue   GPU memory or modules: where the round grows least (ties: the GPUs)
    whether it enters               while tokens a second still grow, and gaps keep their bound

New requests book what answers of this replica have come to so far (lengths.py), so that few lose their KV.
Nothing looks at lengths to come.
"""

from dataclasses import replace

import numpy as np

from l3sim.orchestrator.engine.lengths import UNSEEN, UNSEEN_BESIDE
from l3sim.orchestrator.engine.policies.admission import (
    GRAIN,
    PREFILL_KEYS,
    ChunkBounds,
    Home,
    PrefillPlan,
    plan_prefills,
)
from l3sim.orchestrator.engine.policies.balance import deal, rank_loads
from l3sim.orchestrator.engine.policies.base import POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.policies.round_time import Load, RoundTimes
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.orchestrator.engine.reasons import Blocked
from l3sim.units import Floats, Int64s
from l3sim.work import NO_REQUESTS, Chunk, KvPlacement

#: One request more must bring this share of what it would bring if rounds did not grow.

WORTH = 0.1
#: Of the bound on gaps that predicted rounds may take: what predictions leave out, and their error.
CAUTION = 0.9


@POLICIES.register("adaptive")
class Adaptive(Policy):
    """Chooses by predicted throughput, under a bound on gaps if `--slo tbt_s` gives one."""

    reads = PREFILL_KEYS | {"token_budget", "gpu_kv_share"}
    placements = frozenset({"attention"})
    homes = True

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:
        """See Policy.plan."""
        point = _Point(view, predictor)
        budget = point.budget()
        homes = _Homes(point)
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
            tuple(prefills.reserves),
            unchunked=prefills.unchunked,
            blocked=prefills.blocked,
            considered=_considered(point, now, round_ps, passes, budget, prefills),
        )


def _considered(
    point: "_Point", now: Load, round_ps: float, passes: int, budget: int, prefills: PrefillPlan
) -> dict[str, float]:
    expected = point.expected
    return {
        "layer_ps_one": point.times.one(now),
        "layer_ps_two": point.times.two(now),
        "layer_ps": round_ps,
        "sub_batches": passes,
        "on_gpus": now.beside,
        "in_modules": now.inside,
        "chunk_budget": budget,
        "expected_output": expected,
        "admitted_to_gpus": sum(not point.in_modules(placed) for placed in prefills.admitted),
    }


class _Point:
    """The residents of one scheduling point, and what their rounds take."""

    def __init__(self, view: PlanView, predictor: Predictor) -> None:
        self.view, self.predictor = view, predictor
        self.times = RoundTimes(predictor)
        table, layout = view.table, view.layout
        rows = np.asarray(view.decoding)
        inside = table.offset[rows] < layout.ranksets
        self._beside, self._inside = rows[~inside], rows[inside]
        self.expected = self._expected(0)
        held = table.held
        self._now = Load(
            len(self._beside),
            int(held[self._beside].sum()) + len(self._beside),
            len(self._inside),
            float(self._loads(self._inside, held[self._inside] + 1).max()),
        )

    def in_modules(self, placed: KvPlacement) -> bool:
        """Whether a placement is in ranks."""
        return placed.offset < self.view.layout.ranksets

    def _expected(self, emitted: int) -> int:
        """Tokens that an answer with this many is still to have."""
        table, view = self.view.table, self.view
        running = lambda: table.emitted[np.concatenate([view.decoding, view.prefilling]).astype(np.int64)]  # noqa: E731
        found = view.lengths.expected(emitted, running)
        self.knows = found is not None
        return min(UNSEEN, view.kv.most_tokens // 32) if found is None else found

    def reserve(self, request: int) -> int:
        """Tokens that a request books beyond its prompt."""
        table = self.view.table
        if table.lengths_known:
            return 0
        emitted = int(table.emitted[request])
        return max(min(self._expected(emitted), int(table.limit[request]) - emitted) - 1, 0)

    def _loads(self, requests: Int64s, tokens: Int64s) -> Floats:
        """Time of each rank for requests that attend so many tokens: shape (R, ranks)."""
        layout = self.view.layout
        place = self.view.table.offset[requests] * layout.ranks + self.view.table.rank[requests]
        cost = self.predictor.attend_ps(layout, tokens)
        return rank_loads(place, cost, layout.group_counts, self.predictor.pace)

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


class _Homes:
    """Finds homes for the head of the queue, one after the other, and says whether they pay.

    It looks at residents in the middle of what they are still to have, since a request stays for long.
    """

    def __init__(self, point: _Point) -> None:
        self._point = point
        view, table = point.view, point.view.table
        rows = np.concatenate([np.asarray(view.decoding), np.array(view.prefilling, dtype=np.int64)])
        booked = table.target[rows] + table.reserve[rows]
        tokens = (np.maximum(table.held[rows], table.target[rows]) + np.maximum(table.held[rows], booked)) // 2
        inside = table.offset[rows] < view.layout.ranksets
        self._loads = point._loads(rows[inside], tokens[inside] + 1)
        self._beside, self._inside = int((~inside).sum()), int(inside.sum())
        self._beside_tokens = int(tokens[~inside].sum())
        self._prompt = float(table.prompt[rows].mean()) if len(rows) else 0.0
        self._next: dict[int, tuple[Floats, int]] = {}

    def find(self, request: int) -> Home | None:
        """Where the head would go: where the round grows least."""
        view, table = self._point.view, self._point.view.table
        reserve, booking = self._point.reserve(request), table.booking(request)
        in_ranks = view.kv.fits(booking, request, reserve)
        far = reserve
        reserve = min(reserve, UNSEEN_BESIDE)
        on_gpus = view.kv.fits(booking, request, reserve, on_gpus=True)
        if on_gpus is None:
            return None if in_ranks is None else Home(*in_ranks, far)
        gpus = Home(*on_gpus, reserve, staged=False)
        if in_ranks is None:
            return gpus
        ranks = Home(*in_ranks, far)
        times = [self._time(self._with(request, home)) for home in (gpus, ranks)]
        # Modules, where what a round saves is worth a good part of a request.
        saved = (times[0] / times[1] - 1) * (self._beside + self._inside + 1)
        return ranks if saved > WORTH else gpus

    def may_admit(self, placed: KvPlacement) -> Blocked:
        """Whether tokens a second still grow, and gaps keep their bound."""
        request = placed.request
        home = Home(placed.offset, placed.rank, self._point.reserve(request))
        residents = self._beside + self._inside
        grown = self._with(request, home)
        if residents:
            after = self._time(grown)
            before = self._time(self._load(self._loads, self._beside, self._beside_tokens, self._inside))
            bound = self._point.layer_bound_ps
            if bound is not None and after > bound:
                return Blocked.GAP
            gain = ((residents + 1) / after * before / residents - 1) * residents
            if gain < WORTH:
                return Blocked.ALIGNED
        self._enter(request, home)
        return Blocked.NOTHING

    def _tokens(self, request: int, home: Home) -> int:
        return int(self._point.view.table.target[request]) + (home.reserve or 0) // 2

    def _with(self, request: int, home: Home) -> Load:
        tokens = self._tokens(request, home)
        if home.offset == self._point.view.layout.ranksets:
            return self._load(
                self._loads, self._beside + 1, self._beside_tokens + tokens, self._inside
            )
        return self._load(
            self._loads_with(home, tokens), self._beside, self._beside_tokens, self._inside + 1
        )

    def _enter(self, request: int, home: Home) -> None:
        tokens = self._tokens(request, home)
        if home.offset == self._point.view.layout.ranksets:
            self._beside += 1
            self._beside_tokens += tokens
        else:
            self._loads = self._loads_with(home, tokens)
            self._inside += 1

    def _loads_with(self, home: Home, tokens: int) -> Floats:
        point, layout = self._point, self._point.view.layout
        place = np.array([home.offset * layout.ranks + home.rank], dtype=np.int64)
        cost = point.predictor.attend_ps(layout, np.array([tokens + 1], dtype=np.int64))
        return self._loads + rank_loads(place, cost, layout.group_counts, point.predictor.pace)

    def _load(self, loads: Floats, beside: int, beside_tokens: int, inside: int) -> Load:
        """So many residents, with as many chunk tokens a round as their going and coming brings."""
        load = Load(beside, beside_tokens, inside, float(loads.max()))
        chunk = (beside + inside) * self._prompt / max(self._point.expected, 1)
        return self._point.with_chunk(load, round(chunk), round(self._prompt / 2))

    def _time(self, load: Load) -> float:
        return self._point.times.best(load)[0]

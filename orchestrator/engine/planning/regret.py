"""What a choice cost: scheduling points of a run, with the plans that could have been made instead.

At a sampled point every alternative is planned on the same view. The devices estimate the rounds of each
plan, windows that never happen, and a copy of the timeline walks them from the state that it is in:

    scheduling point ─┬─ the plan made ── rounds ── tokens a second
                      ├─ fill ─────────── rounds ── tokens a second      regret = 1 - made / best
                      └─ ...

The measure is myopic: tokens (prefilled ones too) a second over the next rounds, `ROUNDS` at most. What a
plan does to later ones is not in it. Nothing of this changes the run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from l3sim.orchestrator.engine.costs.assembler import Assembler
from l3sim.orchestrator.engine.policies import POLICIES, Plan, PlanView
from l3sim.orchestrator.engine.prediction.source import PredictorSource
from l3sim.orchestrator.engine.reasons import Because
from l3sim.orchestrator.engine.timeline.base import Timeline, Waits
from l3sim.units import PS_PER_S, seconds
from l3sim.work import Costs, KvPlacement, SubBatch, Window

#: Rounds over which plans without chunks are compared, at most: ours.
ROUNDS = 16
#: Other plans: policy, and options of it that are set. One that plans the same as another is left out.
ALTERNATIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "fill": ("fill", {}),
    "serial": ("serial", {}),
    "l3": ("l3", {}),
    "l3 selection=all": ("l3", {"selection": "all"}),
    "l3 alignment=0.5": ("l3", {"alignment": 0.5}),
    "l3 alignment=2": ("l3", {"alignment": 2.0}),
    "l3 step=4": ("l3", {"step": 4}),
    "l3 sub_batches=1": ("l3", {"sub_batches": 1}),
    "l3 chunking=whole": ("l3", {"chunking": "whole"}),
}
#: Name of the plan that was made.
MADE = "made"


class Judged(msgspec.Struct):
    """One scheduling point: a line of regret.jsonl."""

    replica: int
    plan: int
    at_s: float
    because: Because
    tokens_per_s: dict[str, float]
    best: str
    regret: float


@dataclass(slots=True)
class _Point:
    """A scheduling point that waits for the devices' answers."""

    plan: int
    at_ps: int
    because: Because
    names: list[str] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)


class Study:
    """The sampled scheduling points of one replica.

    Plans number 0, s, 2 s, ... are judged; s starts at 1 and doubles, half of what was judged being dropped,
    whenever there are more than `most`. So at the end they lie evenly over the run. Alternatives are those
    whose policy is for the machine's `placement`, and that place KV with the GPUs as the job does or not.
    """

    def __init__(self, replica: int, most: int, placement: str = "attention", homes: bool = False) -> None:
        self._replica, self._most, self._stride = replica, most, 1
        self._alternatives = {
            name: (POLICIES.get(policy), options)
            for name, (policy, options) in ALTERNATIVES.items()
            if placement in POLICIES.get(policy).placements and POLICIES.get(policy).homes == homes
        }
        self._judged: list[Judged] = []
        self._point: _Point | None = None

    def note(
        self,
        number: int,
        made: Plan,
        view: Callable[[], PlanView],
        source: PredictorSource,
        because: Because,
        now_ps: int,
    ) -> None:
        """A plan was made and not applied yet; plan its alternatives if it is one of the sample.

        Args:
            number: of the plan.
            view: makes a view as the plan was made on.
        """
        if not self._most or number % self._stride or made.empty:
            return
        point = _Point(number, now_ps, because)
        self._add(point, MADE, made, view())
        for name, (policy, options) in self._alternatives.items():
            seen = view()
            seen.options = msgspec.structs.replace(seen.options, **options)
            self._add(point, name, policy().plan(seen, source.predictor), seen)
        source.questions()  # what the alternatives asked is dropped
        self._point = point

    def questions(self) -> Sequence[Window]:
        """Windows that the devices must estimate before `judge`; none where no point is open."""
        return self._point.windows if self._point is not None else ()

    def judge(
        self,
        answers: Sequence[Sequence[Costs]],
        modules: Sequence[Window],
        assembler: Assembler,
        timeline: Timeline,
        waits: Callable[[tuple[SubBatch, ...]], list[Waits]],
        start: Callable[[Window], tuple[int, int]],
    ) -> None:
        """Walk every plan of the open point on copies of the timeline.

        Args:
            modules: the windows asked, as modules heard them.
            start: of a window's first round, and the host's time between a join and the next round.
        """
        point, self._point = self._point, None
        if point is None:
            return
        rates = {}
        asked = zip(point.names, point.plans, point.windows, modules, answers, strict=True)
        for name, plan, window, heard, answer in asked:
            durations = assembler.assemble(window, answer, heard).durations
            if plan.unchunked >= 0:
                durations.unchunked[plan.unchunked] = True
            start_ps, gap_ps = start(window)
            waiting = waits(window.sub_batches)
            outcome = timeline.copy().simulate(durations, start_ps, 2**62, waiting, gap_ps)
            elapsed_ps = int(outcome.join_ps[-1]) - point.at_ps
            rates[name] = tokens_of(window, outcome.rounds) * PS_PER_S / elapsed_ps
        best = max(rates, key=lambda name: rates[name])
        regret = 1 - rates[MADE] / rates[best]
        judged = Judged(self._replica, point.plan, seconds(point.at_ps), point.because, rates, best, regret)
        self._judged.append(judged)
        if len(self._judged) > self._most:
            self._stride *= 2
            self._judged = [one for one in self._judged if one.plan % self._stride == 0]

    def jsonl(self) -> bytes:
        """What was judged, a line each."""
        return b"".join(msgspec.json.encode(judged) + b"\n" for judged in self._judged)

    def _add(self, point: _Point, name: str, plan: Plan, view: PlanView) -> None:
        window = window_of(len(point.windows), self._replica, plan, view)
        if window is None or any(same_work(window, other) for other in point.windows):
            return
        point.names.append(name)
        point.plans.append(plan)
        point.windows.append(window)


def window_of(number: int, replica: int, plan: Plan, view: PlanView) -> Window | None:
    """The next rounds of a plan as a window that stands alone; None for an empty plan."""
    if plan.empty:
        return None
    table = view.table
    new = {placed.request: placed for placed in plan.admitted}
    batches = tuple(
        SubBatch(index, part.decode, table.held[part.decode], part.chunks)
        for index, part in enumerate(plan.passes)
        if not part.empty
    )
    requests = [int(one) for one in plan.decode] + [
        chunk.request for batch in batches for chunk in batch.chunks
    ]
    places = [
        new.get(one) or KvPlacement(one, int(table.offset[one]), int(table.rank[one])) for one in requests
    ]
    rounds = 1
    if not any(batch.chunks for batch in batches):
        left = table.output[plan.decode] - table.emitted[plan.decode]
        rounds = int(min(ROUNDS, left.min()))
    return Window(number, replica, rounds, batches, tuple(places))


def same_work(one: Window, other: Window) -> bool:
    """Whether two windows have the same requests and chunks in the same passes."""
    return len(one.sub_batches) == len(other.sub_batches) and all(
        mine.index == theirs.index
        and mine.chunks == theirs.chunks
        and np.array_equal(np.sort(mine.decode), np.sort(theirs.decode))
        for mine, theirs in zip(one.sub_batches, other.sub_batches, strict=True)
    )


def tokens_of(window: Window, rounds: int) -> int:
    """Tokens that this many rounds of a window make or prefill."""
    made = sum(rounds * len(batch.decode) for batch in window.sub_batches)
    return made + sum(chunk.tokens for batch in window.sub_batches for chunk in batch.chunks)

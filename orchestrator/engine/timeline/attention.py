"""The timeline of the layer program `attention`: decode attention on ranksets, all else on the GPU."""

from typing import NoReturn

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.timeline import memory_map as at
from l3sim.orchestrator.engine.timeline import walk
from l3sim.orchestrator.engine.timeline.base import TIMELINES, Outcome, RoundCosts, Rules, Timeline, Waits
from l3sim.orchestrator.engine.timeline.memory import Memory
from l3sim.units import Int64s

FAULTS = {
    walk.STUCK: "no task of a round can go on",
    walk.NEGATIVE: "a cost is negative",
    walk.NO_PASS: "a round has no sub-batch",
    walk.HALF_A_PASS: "a sub-batch has some of b_first, b_mid and b_last, but not all",
    walk.GHOST: "an empty sub-batch has p, d, a, u or kv",
    walk.MANY_WITH_KV: "a window with prefill KV has more than one round",
}


def broken(what: str) -> NoReturn:
    """Refuse what the caller must never do."""
    raise InvariantBroken(f"timeline: {what}; this is a bug of the engine or of a device's costs")


@TIMELINES.register("attention")
class AttentionTimeline(Timeline):
    """The compiled walk (`walk.py`) and its memory.

    Args:
        rules: what holds for the job.
        skip: whether whole periods of a round may be skipped; never changes a result.
    """

    def __init__(self, rules: Rules, skip: bool = True) -> None:
        self._rules = rules
        self._skip = skip
        self._memory = Memory(rules)
        self._no_rounds = RoundCosts.nothing(0, rules.ranksets).rows

    def simulate(
        self, costs: RoundCosts, start_ps: int, stop_ps: int, waits: list[Waits], gap_ps: int = 0
    ) -> Outcome:
        """See `Timeline.simulate`.

        Raises:
            InvariantBroken: costs that no round has or of other ranksets, a start in the past, a negative
                gap, or waits for an unknown batch.
        """
        now = self._memory.m[at.NOW]
        if start_ps < now:
            broken(f"a round starts at {start_ps} ps, but time is at {now} ps")
        if gap_ps < 0:
            broken(f"a round starts {-gap_ps} ps before the join of the one before")
        live = [wait for wait in waits if self.batch_end_ps(wait.batch) < 0]
        self._check(costs)
        self._memory.reserve(len(live), self._spans(costs.rounds))
        m = self._memory.m
        m[at.WAITS], m[at.GAP] = len(live), gap_ps
        for row, wait in zip(self._memory.waits, live, strict=False):
            row[0] = wait.batch
            row[1:] = wait.passes.ravel()
        m[at.UNCHUNKED : at.UNCHUNKED + 2] = costs.unchunked
        out = np.empty((costs.rounds, 4), dtype=np.int64)
        taken = self._walk(costs.rows, start_ps, stop_ps, out)
        out = out[:taken]
        made = (int(m[at.MAKES]), int(m[at.MAKES + 1]))
        return Outcome(taken, out[:, 0], out[:, 1], out[:, 2:], made, self._written())

    def drain(self, until_ps: int) -> tuple[int, Int64s]:
        """See `Timeline.drain`."""
        self._memory.reserve(0, self._spans(0))
        self._walk(self._no_rounds, until_ps, until_ps, np.empty((0, 4), dtype=np.int64))
        return int(self._memory.m[at.KV_END]), self._written()

    def copy(self) -> "AttentionTimeline":
        """See `Timeline.copy`."""
        twin = AttentionTimeline(self._rules, self._skip)
        twin._memory = self._memory.copy()
        return twin

    def batch_end_ps(self, batch: int) -> int:
        """See `Timeline.batch_end_ps`.

        Raises:
            InvariantBroken: no round made this batch.
        """
        if not 0 <= batch < self._memory.m[at.BATCHES]:
            broken(f"there is no batch {batch}")
        return int(self._memory.batches[batch, at.END])

    def next_end_ps(self) -> int:
        """See `Timeline.next_end_ps`."""
        end = int(self._memory.m[at.RUN_END + at.DOWN])
        return -1 if end == at.IDLE else end

    def pending(self) -> bool:
        """See `Timeline.pending`."""
        return bool(self._memory.m[at.KV_LEFT] > 0)

    @property
    def skipped_layers(self) -> int:
        """Layers that were not walked, over the life of the timeline, of its lowest running pass."""
        return int(self._memory.m[at.SKIPPED])

    def _walk(self, rows: Int64s, start_ps: int, stop_ps: int, out: Int64s) -> int:
        """Run the compiled walk; give the rounds taken."""
        m = self._memory.m
        m[at.KV_END] = -1
        m[at.SPANS] = 0
        m[at.RECORD] = self.record_rounds
        taken = walk.walk(m, rows, start_ps, stop_ps, self._skip, out)
        if taken < 0:
            broken(FAULTS[taken])
        return taken

    def _check(self, costs: RoundCosts) -> None:
        """The compiled walk looks at no bounds."""
        if costs.rounds < 1:
            broken("a window has no round")
        if costs.ranksets != self._rules.ranksets:
            broken(f"costs of {costs.ranksets} ranksets, not {self._rules.ranksets}")

    def _spans(self, rounds: int) -> int:
        """The most spans that this many rounds can write: L + 1 B, L P, and L of D, A, U and K by rankset."""
        if self.record_rounds == 0:
            return 0
        m, layers = self._memory.m, self._rules.layers
        recorded = min(rounds, max(0, self.record_rounds - int(m[at.ROUND])))
        return recorded * 2 * (1 + 2 * layers + 4 * layers * self._rules.ranksets) + int(m[at.KV_LEFT])

    def _written(self) -> Int64s:
        """The spans of the call that has just been made."""
        return self._memory.spans[: self._memory.m[at.SPANS]].copy()

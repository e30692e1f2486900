"""The timeline of the layer program `gpu`: the GPU attends itself, so every task holds the one resource.

    B(s,0) -> P(s,0), A(s,0) -> B(s,1) -> P(s,1), A(s,1) -> ... -> B(s,L)

One A(s,l) a pass and layer, ready when B(s,l) ended; B(s,l+1) waits for P(s,l) and A(s,l). Nothing crosses a
link, so nothing is left at a join. Service is that of docs/time.md: of the tasks that wait, the first in the
order (ready time, s, l, kind) runs.
"""

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.jit import jit
from l3sim.orchestrator.engine.timeline import memory_map as at
from l3sim.orchestrator.engine.timeline.base import (
    SPAN_COLUMNS,
    TIMELINES,
    Outcome,
    RoundCosts,
    Rules,
    Timeline,
    Waits,
)
from l3sim.units import Int64s

#: Columns of a round's costs, by pass.
_FIRST, _MID, _LAST, _PREFILL, _ATTEND = range(5)


def _example() -> tuple[Int64s, int, int, Int64s, Int64s]:
    """One pass through one layer, not recorded."""
    costs = np.ones((5, 2), dtype=np.int64)
    return costs, 1, 1, np.zeros(2, dtype=np.int64), np.zeros((0, 5), dtype=np.int64)


@jit(cache=True, example=_example)
def walk_round(costs: Int64s, layers: int, begin: int, ends: Int64s, spans: Int64s) -> int:
    """Walk one round.

    Args:
        costs: shape (5, 2); a pass without b_first is empty.
        ends: written: end of each pass, 0 for an empty one.
        spans: written: (pass, layer, task, start, end) of each task, as far as it has rows.

    Returns: how many tasks there were.
    """
    now, count = begin, 0
    layer = np.zeros(2, dtype=np.int64)
    ready = np.full(2, begin)
    # What waits of each pass: B, or of P and A those that exist.
    waits = np.zeros((2, 6), dtype=np.bool_)
    for s in range(2):
        waits[s, at.B] = costs[_FIRST, s] > 0
        ends[s] = 0
    while True:
        chosen = -1
        for s in range(2):
            here = waits[s, at.B] or waits[s, at.P] or waits[s, at.A]
            if here and (chosen < 0 or ready[s] < ready[chosen]):
                chosen = s
        if chosen < 0:
            return count
        s = chosen
        kind = at.B if waits[s, at.B] else at.P if waits[s, at.P] else at.A
        if kind == at.P:
            cost = costs[_PREFILL, s]
        elif kind == at.A:
            cost = costs[_ATTEND, s]
        else:
            cost = costs[_FIRST if layer[s] == 0 else _LAST if layer[s] == layers else _MID, s]
        if count < len(spans):
            spans[count, 0], spans[count, 1], spans[count, 2] = s, layer[s], kind
            spans[count, 3], spans[count, 4] = now, now + cost
        count += 1
        now += cost
        waits[s, kind] = False
        if kind == at.B:
            ready[s] = now
            if layer[s] == layers:
                ends[s] = now
                continue
            waits[s, at.P] = costs[_PREFILL, s] > 0
            waits[s, at.A] = costs[_ATTEND, s] > 0
        if not waits[s, at.P] and not waits[s, at.A]:
            layer[s] += 1
            ready[s] = now
            waits[s, at.B] = True


@TIMELINES.register("gpu")
class GpuTimeline(Timeline):
    """Round after round of one resource; d, u and kv of the costs are not used."""

    def __init__(self, rules: Rules) -> None:
        self._rules, self._layers = rules, rules.layers
        self._now = 0
        self._round = 0

    def simulate(
        self, costs: RoundCosts, start_ps: int, stop_ps: int, waits: list[Waits], gap_ps: int = 0
    ) -> Outcome:
        """See `Timeline.simulate`.

        Raises:
            InvariantBroken: a start in the past, or prefill KV to wait for.
        """
        if start_ps < self._now or waits:
            raise InvariantBroken(f"timeline: a round starts at {start_ps} ps, time is at {self._now} ps")
        table = np.stack([costs.b_first, costs.b_mid, costs.b_last, costs.p, costs.a[:, :, 0, 0]], axis=1)
        out = np.empty((costs.rounds, 4), dtype=np.int64)
        written: list[Int64s] = []
        begin, taken = start_ps, 0
        while taken < costs.rounds:
            spans = np.empty((self._rows(), 5), dtype=np.int64)
            tasks = walk_round(table[taken], self._layers, begin, out[taken, 2:], spans)
            written.append(self._spans(spans[:tasks]))
            join = int(out[taken, 2:].max())
            out[taken, 0], out[taken, 1] = begin, join
            self._round += 1
            taken += 1
            self._now = join
            if join >= stop_ps:
                break
            begin = join + gap_ps
        out = out[:taken]
        return Outcome(taken, out[:, 0], out[:, 1], out[:, 2:], spans=np.concatenate(written))

    def drain(self, until_ps: int) -> tuple[int, Int64s]:
        """See `Timeline.drain`: nothing is ever left."""
        del until_ps
        return -1, np.zeros((0, len(SPAN_COLUMNS)), dtype=np.int64)

    def copy(self) -> "GpuTimeline":
        """See `Timeline.copy`."""
        twin = GpuTimeline(self._rules)
        twin._now, twin._round = self._now, self._round
        return twin

    def batch_end_ps(self, batch: int) -> int:
        """See `Timeline.batch_end_ps`: KV is made where it stays."""
        del batch
        return 0

    def next_end_ps(self) -> int:
        """See `Timeline.next_end_ps`."""
        return -1

    def pending(self) -> bool:
        """See `Timeline.pending`."""
        return False

    def _rows(self) -> int:
        """Spans that the coming round writes at most: L + 1 B, L P and L A of two passes."""
        return 2 * (3 * self._layers + 1) if self._round < self.record_rounds else 0

    def _spans(self, rows: Int64s) -> Int64s:
        """Rows of a round as SPAN_COLUMNS."""
        spans = np.empty((len(rows), len(SPAN_COLUMNS)), dtype=np.int64)
        spans[:, 0], spans[:, 4] = self._round, -1
        spans[:, 1:4], spans[:, 5:] = rows[:, :3], rows[:, 3:]
        return spans

"""The memory of one timeline, as Python sees it: lays `m` out (see `memory_map`) and lets its tables grow."""

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.timeline import memory_map as at
from l3sim.orchestrator.engine.timeline.base import SPAN_COLUMNS, Rules, row_length
from l3sim.units import Int64s


class Memory:
    """A flat array and views into it.

    Args:
        rules: what holds for the job.

    Attributes:
        m: the array; another one after `reserve`, as are the views.
        queues: waiting K tasks, a ring by rankset, shape (R, a power of two, KV_COLUMNS).
        batches: shape (batches, BATCH_COLUMNS + R * R).
        waits: batch, then passes as `base.Waits` has them, shape (waits, 1 + 2 * R).
        spans: as `base.Outcome.spans`.

    Raises:
        InvariantBroken: no layer, no rankset, or more than `MAX_RANKSETS`.
    """

    def __init__(self, rules: Rules) -> None:
        if rules.layers < 1 or not 1 <= rules.ranksets <= at.MAX_RANKSETS:
            raise InvariantBroken(
                f"timeline: needs layers >= 1 and ranksets 1 to {at.MAX_RANKSETS}; got {rules}"
            )
        self._rules = rules
        self.m: Int64s = np.zeros(at.COSTS + row_length(rules.ranksets), dtype=np.int64)
        self._write_constants()
        self._lay_out(room=1, batches=2, waits=4, spans=0)

    def _write_constants(self) -> None:
        """Fill in what the rules say and never changes."""
        m, rules, ranksets = self.m, self._rules, self._rules.ranksets
        m[at.LAYERS] = rules.layers
        m[at.RANKSETS], m[at.LANES] = ranksets, at.RANKS + ranksets
        m[at.RUN_END : at.RUN_END + 64] = at.IDLE
        m[at.TABLE_AT + at.D : at.TABLE_AT + at.K + 1] = at.TABLES + 2 * ranksets**2 * np.arange(4)
        every = sum(at.RANK_BIT << j for j in range(ranksets))
        bus = at.BUS_BIT if rules.half_duplex else 0
        needs = m[at.NEEDS : at.HELD].reshape(at.KIND_MASK + 1, at.J_MASK + 1)
        needs[[at.B, at.P]] = at.GPU_BIT
        for j in range(ranksets):
            own = at.RANK_BIT << j
            moving = bus | (own if rules.overlap else every)
            needs[[at.D, at.K], j] = at.DOWN_BIT | moving
            needs[at.A, j] = own
            needs[at.U, j] = at.UP_BIT | moving

    def _lay_out(self, room: int, batches: int, waits: int, spans: int) -> None:
        """Take a new array with the tables after the constant part, which is kept; set the views."""
        ranksets = self._rules.ranksets
        # A snapshot has a few scalars, at most all tasks of class 0, and two cells a lane.
        shot = 16 + 2 * (2 + 3 * ranksets) + 2 * (at.RANKS + ranksets)
        tables = {
            at.QUEUES_AT: (ranksets, room, at.KV_COLUMNS),
            at.BATCHES_AT: (batches, at.BATCH_COLUMNS + ranksets**2),
            at.WAITS_AT: (waits, 1 + 2 * ranksets),
            at.SHOTS_AT: (at.RINGS, shot),
            at.SPANS_AT: (spans, len(SPAN_COLUMNS)),
        }
        fixed = at.COSTS + row_length(ranksets)
        m = np.zeros(fixed + sum(int(np.prod(shape)) for shape in tables.values()), dtype=np.int64)
        m[:fixed] = self.m[:fixed]
        m[at.ROOM], m[at.SHOT_CELLS] = room, shot
        views, offset = [], fixed
        for cell, shape in tables.items():
            cells = int(np.prod(shape))
            m[cell] = offset
            views.append(m[offset : offset + cells].reshape(shape))
            offset += cells
        self.m = m
        self.queues, self.batches, self.waits, _, self.spans = views

    def copy(self) -> "Memory":
        """Another one with the same content."""
        twin = Memory(self._rules)
        twin._lay_out(int(self.m[at.ROOM]), len(self.batches), len(self.waits), len(self.spans))
        twin.m[:] = self.m
        return twin

    def reserve(self, waits: int, spans: int) -> None:
        """Make room for one more round's K tasks and batches, and for this many waits and spans.

        What a table holds is kept, but for waits and spans: those are of one call.
        """
        m, old, batches = self.m, self.queues, self.batches
        room, left = int(m[at.ROOM]), int(m[at.KV_LEFT]) + 2 * self._rules.layers
        made = int(m[at.BATCHES])
        fits = left <= room and made + 2 <= len(batches)
        if fits and waits <= len(self.waits) and spans <= len(self.spans):
            return
        self._lay_out(
            room=room if left <= room else 1 << (left - 1).bit_length(),
            batches=len(batches) if made + 2 <= len(batches) else 2 * len(batches),
            waits=max(waits, len(self.waits)),
            spans=max(spans, len(self.spans)),
        )
        self.batches[:made] = batches[:made]
        heads = self.m[at.HEADS : at.HEADS + len(old)]
        for ring, head, longer in zip(old, heads, self.queues, strict=True):
            longer[:room] = np.roll(ring, -head, axis=0)
        heads[:] = 0

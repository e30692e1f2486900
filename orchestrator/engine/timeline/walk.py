"""The walk over rounds: instants one after the other, joins, and the gaps between rounds. Compiled."""

import numpy as np

from l3sim.jit import jit
from l3sim.orchestrator.engine.timeline import memory_map as at
from l3sim.orchestrator.engine.timeline import skip as skipping
from l3sim.orchestrator.engine.timeline.base import Rules, row_length
from l3sim.orchestrator.engine.timeline.memory import Memory
from l3sim.orchestrator.engine.timeline.prefill_kv import kv_tasks, open_batch
from l3sim.orchestrator.engine.timeline.service import code_of, make_ready
from l3sim.orchestrator.engine.timeline.tasks import end, serve
from l3sim.units import Int64s

#: What `walk` answers instead of a number of rounds.
STUCK, NEGATIVE, NO_PASS, HALF_A_PASS, GHOST, MANY_WITH_KV = -1, -2, -3, -4, -5, -6


@jit(no_refs=True)
def load(m: Int64s, row: Int64s) -> int:
    """Take a cost row over; say what is wrong with it, or 0."""
    lowest = 0
    for column in range(len(row)):
        m[at.COSTS + column] = row[column]
        lowest = min(lowest, row[column])
    if lowest < 0:
        return NEGATIVE
    if m[at.B_FIRST] == 0 and m[at.B_FIRST + 1] == 0:
        return NO_PASS
    square = m[at.RANKSETS] * m[at.RANKSETS]
    for s in range(2):
        empty = m[at.B_FIRST + s] == 0
        if (m[at.B_MID + s] == 0) != empty or (m[at.B_LAST + s] == 0) != empty:
            return HALF_A_PASS
        if empty:
            work = m[at.P_COST + s]
            for table in range(4):
                first = at.TABLES + (2 * table + s) * square
                for cell in range(first, first + square):
                    work |= m[cell]
            if work != 0:
                return GHOST
    return 0


@jit(no_refs=True, inline=True)
def next_end(m: Int64s) -> int:
    """The earliest end of a running task, or IDLE."""
    first: int = m[at.RUN_END]
    for lane in range(at.RUN_END + 1, at.RUN_END + m[at.LANES]):
        first = min(first, m[lane])
    return first


@jit(no_refs=True, inline=True)
def step(m: Int64s, instant: int) -> None:
    """Do all that happens at an instant: every end, then the starts."""
    m[at.NOW] = instant
    for lane in range(m[at.LANES]):
        if m[at.RUN_END + lane] == instant:
            end(m, lane)
    serve(m)


@jit(no_refs=True)
def idle(m: Int64s, until: int) -> None:
    """Serve K tasks while no pass runs, up to and including `until`.

    At a round's start they may be served before its blocks are ready: they share no resource.
    """
    while m[at.KV_LEFT] > 0:
        instant = next_end(m)
        if instant > until:
            return
        step(m, instant)


@jit(no_refs=True)
def open_round(m: Int64s, begin: int, skip: bool) -> None:
    """Make B(s,0) of every pass ready at a round's start, and serve that instant."""
    m[at.NOW] = begin
    for s in range(2):
        m[at.LAYER + s] = 0
        m[at.COLUMN + s] = s * m[at.RANKSETS] * m[at.RANKSETS]
        m[at.AWAITS + s] = 0
        m[at.ENDED + s] = 0
        m[at.RUNS + s] = m[at.B_FIRST + s] > 0
        m[at.MAKES + s] = open_batch(m, s)
        if m[at.RUNS + s]:
            m[at.LIVE] += 1
            make_ready(m, code_of(s, at.B, 0))
    quiet = m[at.MAKES] < 0 and m[at.MAKES + 1] < 0 and m[at.KV_LEFT] == 0 and m[at.ROUND] >= m[at.RECORD]
    m[at.SHOTS] = 0 if skip and quiet else -1
    serve(m)


@jit(no_refs=True, inline=True)
def walk_round(m: Int64s) -> bool:
    """Walk an open round to its join. False: nothing can go on."""
    while m[at.LIVE] > 0:
        instant = next_end(m)
        if instant == at.IDLE:
            return False
        step(m, instant)
        if m[at.SHOTS] >= 0 and skipping.due(m):
            skipping.look(m)
    m[at.ROUND] += 1
    return True


def _example() -> tuple[Int64s, Int64s, int, int, bool, Int64s]:
    """One round of one layer on one rankset, with every task."""
    memory = Memory(Rules(1, 1, overlap=True, half_duplex=True))
    memory.reserve(0, 0)
    rows = np.ones((1, row_length(1)), dtype=np.int64)
    return memory.m, rows, 1, 2, True, np.empty((1, 4), dtype=np.int64)


@jit(cache=True, no_refs=True, example=_example)
def walk(
    m: Int64s,
    costs: Int64s,
    begin: int,
    stop: int,
    skip: bool,
    out: Int64s,
) -> int:
    """Walk rounds one after the other; with none, only serve K tasks up to and including `begin`.

    Args:
        m: the timeline's memory.
        costs: a row a round, as `base.RoundCosts.rows`.
        begin: start of the first round.
        stop: stop after the first join at or past this.
        skip: whether whole periods may be skipped.
        out: written: start, join, and end of each pass, shape (k, 4).

    Returns: rounds taken, or what is wrong (negative).
    """
    idle(m, begin)
    for r in range(len(costs)):
        wrong = load(m, costs[r])
        if wrong < 0:
            return wrong
        if len(costs) > 1 and kv_tasks(m, 0) + kv_tasks(m, 1) > 0:
            return MANY_WITH_KV
        open_round(m, begin, skip)
        if not walk_round(m):
            return STUCK
        join = m[at.NOW]
        out[r, 0] = begin
        out[r, 1] = join
        out[r, 2] = m[at.ENDED]
        out[r, 3] = m[at.ENDED + 1]
        if join >= stop or r + 1 == len(costs):
            return r + 1
        begin = join + m[at.GAP]
        idle(m, begin)
    return 0

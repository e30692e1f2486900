"""Issues a program: one controller, each command as early as the table allows. Compiled.

Both queues show their first command; the one that can go earlier goes, the inner one on a tie. A command goes
no earlier than its waits, than the constraints of the table against everything before it, than a window of
four activations, and than the command bus, which takes one command a cycle. Banks are state machines: a
command that finds a row open or closed when it should not ends the run as an error of the program.

A refresh is *due* every REFI. The program offers it at row boundaries, where all banks are closed; the engine
takes it there if one is due (JEDEC lets it wait for eight REFI; a row takes far less). While a rank
refreshes, its controller and its unit stand still: all that was to come goes RFC later, at the same
distances. So the engine counts in cycles without refreshes, and each costs RFC wherever it falls.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from l3sim.units import Int64s
from services.dimm_pim.command.compiling import (
    ACT,
    ACTA,
    BANK,
    BANK_SPAN,
    BUS,
    CAUSE,
    CAUSE_A,
    CAUSE_B,
    CLOCK,
    COMMAND,
    COUNT,
    DELAY_A,
    DELAY_B,
    DONE,
    DUE,
    FOUR,
    FROZEN,
    MAC,
    NEVER,
    NOP,
    PHASE,
    REF,
    REFRESH_CAUSE,
    ROW_CAUSE,
    SIGNAL,
    SOURCES,
    STALE,
    STUCK,
    TRACED,
    UNIT_FREE,
    UNKNOWN,
    WAIT_A,
    WAIT_B,
    inlined,
    kept,
    sources,
)
from services.dimm_pim.command.program import INNER, NO_EVENT, OUTER, UNIT
from services.dimm_pim.command.rules import allowed, settled, take


@inlined
def waited(ops: Int64s, run: int, events: Int64s) -> tuple[int, int]:
    """(time, cause) of a run's later wait; (UNKNOWN, 0) while an event has not happened."""
    when, cause = 0, -1
    if ops[run, WAIT_A] != NO_EVENT:
        if events[ops[run, WAIT_A]] == UNKNOWN:
            return UNKNOWN, 0
        when, cause = events[ops[run, WAIT_A]] + ops[run, DELAY_A], ops[run, CAUSE_A]
    if ops[run, WAIT_B] != NO_EVENT:
        if events[ops[run, WAIT_B]] == UNKNOWN:
            return UNKNOWN, 0
        other = events[ops[run, WAIT_B]] + ops[run, DELAY_B]
        if other > when:
            when, cause = other, ops[run, CAUSE_B]
    return when, cause


@inlined
def head(
    run: int, done: int, floor: int, ops: Int64s, events: Int64s, groups: int, last: Int64s, rows: Int64s,
    first: Int64s, window: Int64s, faw: int,
) -> tuple[int, int]:  # fmt: skip
    """(earliest cycle, cause) of the next command of a run; (UNKNOWN, 0) while it waits for an event."""
    when, cause = 0, -1
    if done == 0:
        when, cause = waited(ops, run, events)
        if when == UNKNOWN:
            return UNKNOWN, 0
    if floor > when:
        when, cause = floor, -1
    command = ops[run, COMMAND]
    bank = ops[run, BANK] + done % ops[run, BANK_SPAN]
    legal, by = allowed(command, bank, groups, last, rows, first, window, faw)
    if legal > when:
        when, cause = legal, -1
        if command == MAC and by in (ACT, ACTA):
            cause = ROW_CAUSE
    return when, cause if cause >= 0 else ops[run, CAUSE]


@inlined
def serve_unit(ops: Int64s, order: Int64s, at: int, end: int, events: Int64s, state: Int64s) -> int:
    """Let the rank's unit work as far as it can know; returns where its queue stands then."""
    while at < end:
        run = order[at]
        when, _ = waited(ops, run, events)
        if when == UNKNOWN:
            break
        state[UNIT_FREE] = max(state[UNIT_FREE], when) + ops[run, COUNT]
        if ops[run, SIGNAL] != NO_EVENT:
            events[ops[run, SIGNAL]] = state[UNIT_FREE]
        at += 1
    return at


@inlined
def choose(
    at: Int64s, bounds: Int64s, done: Int64s, floor: Int64s, soonest: Int64s, causes: Int64s, ops: Int64s,
    order: Int64s, events: Int64s, groups: int, last: Int64s, rows: Int64s, first: Int64s, window: Int64s,
    faw: int, state: Int64s,
) -> tuple[int, int]:  # fmt: skip
    """(queue, cycle) of the command that goes next; UNKNOWN when both queues wait, or are empty.

    `soonest` and `causes` of a queue's next command are kept until something changes them.
    """
    queue, when = INNER, UNKNOWN
    for q in (INNER, OUTER):
        if at[q] == bounds[q + 1]:
            continue
        run = order[at[q]]
        if soonest[q] == STALE:
            soonest[q], causes[q] = head(
                run, done[q], floor[q], ops, events, groups, last, rows, first, window, faw
            )
        earliest = soonest[q]
        if earliest == UNKNOWN:
            continue
        if earliest <= state[BUS] and ops[run, COMMAND] != NOP:
            earliest = state[BUS] + 1
        if when == UNKNOWN or earliest < when:
            queue, when = q, earliest
    return queue, when


@inlined
def finish(
    run: int, when: int, queue: int, ops: Int64s, order: Int64s, at: Int64s, bounds: Int64s, events: Int64s,
    soonest: Int64s, state: Int64s,
) -> None:  # fmt: skip
    """Leave a run behind, and tell those who wait for it."""
    at[queue] += 1
    soonest[queue] = STALE
    if ops[run, SIGNAL] == NO_EVENT:
        return
    events[ops[run, SIGNAL]] = when
    at[UNIT] = serve_unit(ops, order, at[UNIT], bounds[UNIT + 1], events, state)
    if soonest[OUTER - queue] == UNKNOWN:
        soonest[OUTER - queue] = STALE


@inlined
def note(
    command: int, when: int, run: int, number: int, counts: Int64s, state: Int64s, trace: Int64s
) -> None:
    """Count a command, and write it down while there is room."""
    counts[command] += 1
    if command != REF:  # after which the bus is free long before it is used
        state[BUS] = when
    if state[TRACED] < len(trace):
        slot = state[TRACED]
        trace[slot, 0], trace[slot, 1], trace[slot, 2] = when + state[FROZEN], run, number
        state[TRACED] += 1


@inlined
def unit_goes_on(
    at: Int64s, bounds: Int64s, ops: Int64s, order: Int64s, events: Int64s, soonest: Int64s, state: Int64s
) -> bool:
    """Let the rank's unit work while both queues wait; whether it did anything."""
    served = at[UNIT]
    at[UNIT] = serve_unit(ops, order, served, bounds[UNIT + 1], events, state)
    soonest[:] = STALE
    return bool(at[UNIT] > served)


@inlined
def hold_back(
    queue: int, command: int, at: Int64s, bounds: Int64s, ops: Int64s, order: Int64s, bars: Any,
    soonest: Int64s, step: Int64s,
) -> None:  # fmt: skip
    """Look anew at a queue's next command if one of the other queue may hold it back."""
    if at[queue] < bounds[queue + 1] and bars[command, ops[order[at[queue]], COMMAND]]:
        soonest[queue], step[queue] = STALE, 0


@inlined
def refreshed(refi: int, rfc: int, phase: int, spent: Int64s, state: Int64s) -> None:
    """Stand still for a refresh, and note when the next one is due."""
    state[DUE] += refi
    state[FROZEN] += rfc
    spent[phase, REFRESH_CAUSE] += rfc


@inlined
def walk(
    ops: Int64s, order: Int64s, bounds: Int64s, events: Int64s, groups: int, banks: int, rows: Int64s,
    first: Int64s, steps: Int64s, bars: Any, faw: int, refi: int, rfc: int, counts: Int64s, spent: Int64s,
    state: Int64s, trace: Int64s,
) -> int:  # fmt: skip
    """Run a program to its end; returns DONE or what went wrong.

    Args:
        ops: shape (runs, fields). order: runs by queue, bounds: where each queue begins in it, shape (4,).
        events: UNKNOWN but for event 0, written. refi: 0: nothing is refreshed.
        steps: see `settled`. bars: whether a command may hold another back, shape (commands, commands).
        counts: commands of each kind, written. spent: cycles by (phase, cause), written.
        state: with the cycle of the first refresh in DUE; written.
        trace: (cycle, run, number in the run), written as far as it reaches.
    """
    last = np.full((len(counts), 1 + groups + banks), NEVER, dtype=np.int64)
    window, open_ = np.full(FOUR, NEVER, dtype=np.int64), np.zeros(banks, dtype=np.bool_)
    at, done, floor = bounds[:3].copy(), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    step, soonest = np.zeros(2, dtype=np.int64), np.full(2, STALE, dtype=np.int64)
    causes = np.zeros(2, dtype=np.int64)
    state[BUS] = -1
    while True:
        queue, when = choose(
            at, bounds, done, floor, soonest, causes, ops, order, events, groups, last, rows, first, window,
            faw, state,
        )  # fmt: skip
        if when == UNKNOWN:
            if not unit_goes_on(at, bounds, ops, order, events, soonest, state):
                return DONE if (at == bounds[1:]).all() else STUCK
            continue
        run = order[at[queue]]
        command = ops[run, COMMAND]
        if command == REF and (refi == 0 or when + state[FROZEN] < state[DUE]):
            at[queue] += 1
            soonest[queue] = STALE
            continue
        if queue == INNER:
            spent[ops[run, PHASE], causes[INNER]] += max(when - state[CLOCK], 0)
            state[CLOCK] = max(when, state[CLOCK])
        if command in (NOP, REF):  # what follows a refresh may not have been held back by as much
            floor[queue] = when
        if command != NOP:
            span = ops[run, BANK_SPAN]
            bank = ops[run, BANK] + (done[queue] % span if span > 1 else 0)
            error = take(command, bank, when, groups, last, window, open_, state)
            if error != DONE:
                return error
            note(command, when, run, done[queue], counts, state, trace)
            hold_back(OUTER - queue, command, at, bounds, ops, order, bars, soonest, step)
            if command == REF:  # and the same run again: another may be due
                refreshed(refi, rfc, ops[run, PHASE], spent, state)
                continue
            if done[queue] == 0 and ops[run, COUNT] > 2:
                step[queue] = settled(command, span, when, groups, last, rows, first, steps)
                causes[queue] = ops[run, CAUSE]
        soonest[queue] = when + step[queue] if step[queue] > 0 else STALE
        done[queue] += 1
        if done[queue] >= ops[run, COUNT]:
            finish(run, when, queue, ops, order, at, bounds, events, soonest, state)
            done[queue], step[queue] = 0, 0


def _kept(_sources: int) -> Callable[..., int]:
    """Make the entry to the compiled code, which is compiled anew when a source has changed."""

    @kept
    def run_program(
        ops: Int64s, order: Int64s, bounds: Int64s, events: Int64s, groups: int, banks: int, rows: Int64s,
        first: Int64s, steps: Int64s, bars: Any, faw: int, refi: int, rfc: int, counts: Int64s, spent: Int64s,
        state: Int64s, trace: Int64s,
    ) -> int:  # fmt: skip
        """See `walk`."""
        state[SOURCES] = _sources
        return walk(
            ops, order, bounds, events, groups, banks, rows, first, steps, bars, faw, refi, rfc, counts,
            spent, state, trace,
        )  # fmt: skip

    return run_program


run_program = _kept(sources())

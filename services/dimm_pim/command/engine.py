"""Issues a program: one controller, each command as early as the table allows. Compiled.

Both queues show their first command; the one that can go earlier goes, the inner one on a tie. A command goes
no earlier than its waits, than the constraints of the table against everything before it, than a window of
four activations, and than the command bus, which takes one command a cycle. Banks are state machines: a command
that finds a row open or closed when it should not ends the run as an error of the program.

A refresh is *due* every REFI. The program offers it at row boundaries, where all banks are closed; the engine
takes it there if one is due (JEDEC lets it wait for eight REFI; a row takes far less than one).
"""

from typing import Any

import numba
import numpy as np

from l3sim.units import Int64s
from services.dimm_pim.command.commands import Command
from services.dimm_pim.command.program import INNER, NO_EVENT, OUTER, UNIT, Cause, Field

NEVER = -(1 << 40)
UNKNOWN = -1
#: Of a queue's next command: to be worked out.
STALE = -2
#: Ends of a run.
DONE, ROW_OPEN, ROW_CLOSED, STUCK = 0, 1, 2, 3

ACT, ACTA, PRE, PREA = (int(c) for c in (Command.ACT, Command.ACTA, Command.PRE, Command.PREA))
REF, MAC, NOP = int(Command.REF), int(Command.PIM_MAC), int(Command.NOP)
NEEDS_ROW = (int(Command.RD), int(Command.WR), int(Command.PIM_LD_SB))
COMMAND, QUEUE, COUNT = int(Field.COMMAND), int(Field.QUEUE), int(Field.COUNT)
BANK, BANK_SPAN, SIGNAL = int(Field.BANK), int(Field.BANK_SPAN), int(Field.SIGNAL)
WAIT_A, DELAY_A, CAUSE_A = int(Field.WAIT_A), int(Field.DELAY_A), int(Field.CAUSE_A)
WAIT_B, DELAY_B, CAUSE_B = int(Field.WAIT_B), int(Field.DELAY_B), int(Field.CAUSE_B)
PHASE, CAUSE = int(Field.PHASE), int(Field.CAUSE)
ROW_CAUSE, REFRESH_CAUSE = int(Cause.ROW), int(Cause.REFRESH)
FOUR = 4

#: Scalars of the state.
CLOCK, BUS, DUE, OPEN, OPENED, OPEN_TIME, REFRESHES, UNIT_FREE, TRACED = range(9)
STATE_SIZE = 9


def inlined(function: Any) -> Any:
    """Compile as part of whoever calls it."""
    return numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)


def compiled(function: Any) -> Any:
    """Compile and keep on disk; no fast-math, so that results are the same on any computer."""
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


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
def allowed(
    command: int, bank: int, groups: int, last: Int64s, rows: Int64s, first: Int64s, window: Int64s, faw: int
) -> tuple[int, int]:
    """(earliest cycle, command that it waits for) by the table and the activation window.

    Args:
        last: cycle of the last command of each kind by rank, group and bank, shape (commands, 1 + groups + banks).
        rows: (before, level, cycles) of each constraint, sorted by `after`. first: where those of a command begin.
        window: cycles of the last four activations, oldest first.
    """
    when, by = NEVER, -1
    group = 1 + bank % groups
    for i in range(first[command], first[command + 1]):
        level = rows[i, 1]
        at = 0 if level == 0 else (group if level == 1 else 1 + groups + bank)
        earliest = last[rows[i, 0], at] + rows[i, 2]
        if earliest > when:
            when, by = earliest, rows[i, 0]
    if command == ACT and window[0] + faw > when:
        when, by = window[0] + faw, ACT
    return when, by


@inlined
def take(
    command: int, bank: int, when: int, groups: int, last: Int64s, window: Int64s, open_: Any, state: Int64s
) -> int:
    """Let a command happen; returns DONE, or how a bank refused it."""
    banks = len(open_)
    last[command, 0] = when
    if command == ACT:
        if open_[bank]:
            return ROW_OPEN
        open_[bank] = True
        last[command, 1 + bank % groups] = last[command, 1 + groups + bank] = when
        window[0], window[1], window[2], window[3] = window[1], window[2], window[3], when
        if state[OPEN] == 0:
            state[OPENED] = when
        state[OPEN] += 1
    elif command == ACTA:
        if state[OPEN] > 0:
            return ROW_OPEN
        open_[:] = True
        state[OPEN], state[OPENED] = banks, when
    elif command in (PRE, PREA):
        if command == PREA:
            closed = state[OPEN]
            open_[:] = False
        else:
            last[command, 1 + groups + bank] = when
            closed = 1 if open_[bank] else 0
            open_[bank] = False
        if state[OPEN] > 0 and state[OPEN] == closed:
            state[OPEN_TIME] += when - state[OPENED]
        state[OPEN] -= closed
    elif command == MAC:
        if state[OPEN] < banks:
            return ROW_CLOSED
    elif command == REF:
        if state[OPEN] > 0:
            return ROW_OPEN
    elif command < NOP:
        if command in NEEDS_ROW and not open_[bank]:
            return ROW_CLOSED
        last[command, 1 + bank % groups] = last[command, 1 + groups + bank] = when
    return DONE


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
        if by == REF:
            cause = REFRESH_CAUSE
        elif command == MAC and by in (ACT, ACTA):
            cause = ROW_CAUSE
    return when, cause if cause >= 0 else ops[run, CAUSE]


@inlined
def settled(
    command: int, span: int, when: int, groups: int, last: Int64s, rows: Int64s, first: Int64s, steps: Int64s
) -> int:
    """The step at which the rest of a run follows its first command at `when`; 0: each must be looked at.

    Even steps, if nothing before the run can hold a later command of it back, on whatever bank. That the other
    queue's commands may come in between is for the caller to see.
    """
    if span > 1 and span % groups != 0:
        return 0
    step = steps[command, 0 if span == 1 else 1]
    for i in range(first[command], first[command + 1]):
        if rows[i, 0] != command and last[rows[i, 0], 0] + rows[i, 2] > when:
            return 0
    return step


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


@compiled
def run_program(
    ops: Int64s, order: Int64s, bounds: Int64s, events: Int64s, groups: int, banks: int, rows: Int64s, first: Int64s,
    steps: Int64s, bars: Any, faw: int, refi: int, due: int, counts: Int64s, spent: Int64s, state: Int64s,
    trace: Int64s,
) -> int:  # fmt: skip
    """Run a program to its end; returns DONE or what went wrong.

    Args:
        ops: shape (runs, fields). order: runs by queue, bounds: where each queue begins in it, shape (4,).
        events: UNKNOWN but for event 0, written. due: cycle of the first refresh; refi 0: none ever.
        steps: see `settled`. bars: whether a command may hold another back, shape (commands, commands).
        counts: commands of each kind, written. spent: cycles by (phase, cause), written. state: written; its CLOCK
            is the end. trace: (cycle, run, number in the run), written as far as it reaches.
    """
    last = np.full((len(counts), 1 + groups + banks), NEVER, dtype=np.int64)
    window = np.full(FOUR, NEVER, dtype=np.int64)
    open_ = np.zeros(banks, dtype=np.bool_)
    at, done, floor = bounds[:3].copy(), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    step, soonest = np.zeros(2, dtype=np.int64), np.full(2, STALE, dtype=np.int64)
    causes = np.zeros(2, dtype=np.int64)
    state[DUE], state[BUS] = due, -1
    while True:
        queue, when = INNER, UNKNOWN
        for q in (INNER, OUTER):
            if at[q] == bounds[q + 1]:
                continue
            run = order[at[q]]
            if soonest[q] == STALE:
                soonest[q], causes[q] = head(run, done[q], floor[q], ops, events, groups, last, rows, first, window,
                                             faw)  # fmt: skip
            earliest = soonest[q]
            if earliest != UNKNOWN:
                if earliest <= state[BUS] and ops[run, COMMAND] != NOP:
                    earliest = state[BUS] + 1
                if when == UNKNOWN or earliest < when:
                    queue, when = q, earliest
        if when == UNKNOWN:
            served = at[UNIT]
            at[UNIT] = serve_unit(ops, order, served, bounds[UNIT + 1], events, state)
            if at[UNIT] > served:
                soonest[:] = STALE
                continue
            return DONE if at[0] == bounds[1] and at[1] == bounds[2] and at[2] == bounds[3] else STUCK
        run = order[at[queue]]
        command = ops[run, COMMAND]
        if command == REF and (refi == 0 or when < state[DUE]):
            at[queue] += 1
            soonest[queue] = STALE
            continue
        if queue == INNER and when > state[CLOCK]:
            spent[ops[run, PHASE], causes[INNER]] += when - state[CLOCK]
            state[CLOCK] = when
        if command == NOP:
            floor[queue] = when
        else:
            span = ops[run, BANK_SPAN]
            bank = ops[run, BANK] + (done[queue] % span if span > 1 else 0)
            error = take(command, bank, when, groups, last, window, open_, state)
            if error != DONE:
                return error
            note(command, when, run, done[queue], refi, counts, state, trace)
            if done[queue] == 0 and ops[run, COUNT] > 2:
                step[queue] = settled(command, span, when, groups, last, rows, first, steps)
                causes[queue] = ops[run, CAUSE]
            other = OUTER - queue
            if at[other] < bounds[other + 1] and bars[command, ops[order[at[other]], COMMAND]]:
                soonest[other], step[other] = STALE, 0
            if command == REF:  # the same run again: another may be due
                soonest[queue] = STALE
                continue
        soonest[queue] = when + step[queue] if step[queue] > 0 else STALE
        done[queue] += 1
        if done[queue] >= ops[run, COUNT]:
            if ops[run, SIGNAL] != NO_EVENT:
                events[ops[run, SIGNAL]] = when
                at[UNIT] = serve_unit(ops, order, at[UNIT], bounds[UNIT + 1], events, state)
                if soonest[OUTER - queue] == UNKNOWN:
                    soonest[OUTER - queue] = STALE
            at[queue] += 1
            done[queue], step[queue], soonest[queue] = 0, 0, STALE


@inlined
def note(
    command: int, when: int, run: int, number: int, refi: int, counts: Int64s, state: Int64s, trace: Int64s
) -> None:
    """Count a command, and write it down while there is room."""
    state[BUS] = when
    counts[command] += 1
    if state[TRACED] < len(trace):
        slot = state[TRACED]
        trace[slot, 0], trace[slot, 1], trace[slot, 2] = when, run, number
        state[TRACED] += 1
    if command == REF:
        state[DUE] += refi
        state[REFRESHES] += 1

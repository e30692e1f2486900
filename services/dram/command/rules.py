"""What a rank allows and what a command does to it: the table, the activation window, the banks. Compiled."""

from typing import Any

from l3sim.services.dram.command.compiling import (
    ACT,
    ACTA,
    BUS,
    CLOCK,
    DONE,
    FROZEN,
    LD_SB,
    MAC,
    NEVER,
    OPEN,
    OPEN_TIME,
    OPENED,
    PREA,
    RD,
    RD_RB,
    REF,
    ROW_CLOSED,
    ROW_OPEN,
    TRACED,
    WR,
    inlined,
)
from l3sim.units import Int64s


@inlined
def allowed(
    command: int, bank: int, groups: int, last: Int64s, rows: Int64s, first: Int64s, window: Int64s, faw: int
) -> tuple[int, int]:
    """(earliest cycle, command that it waits for) by the table and the activation window.

    Args:
        last: cycle of the last command of each kind by rank, group and bank, shape (commands, 1 + groups +
        banks). rows: (before, level, cycles) of each constraint, sorted by `after`. first: where those of a
        command begin. window: cycles of the last four activations, oldest first.
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
def fill(open_: Any, state: bool) -> None:
    """Open or close every bank."""
    for bank in range(len(open_)):
        open_[bank] = state


@inlined
def take_rows(command: int, bank: int, when: int, window: Int64s, open_: Any, state: Int64s) -> int:
    """Open or close rows; returns DONE, or how a bank refused it."""
    if command == ACT:
        if open_[bank]:
            return ROW_OPEN
        window[0], window[1], window[2], window[3] = window[1], window[2], window[3], when
        if state[OPEN] == 0:
            state[OPENED] = when
        open_[bank] = True
        state[OPEN] += 1
        return DONE
    if command == ACTA:
        if state[OPEN] > 0:
            return ROW_OPEN
        fill(open_, True)
        state[OPEN], state[OPENED] = len(open_), when
        return DONE
    closed = state[OPEN] if command == PREA else int(open_[bank])
    if command == PREA:
        fill(open_, False)
    open_[bank] = False
    if closed > 0 and state[OPEN] == closed:
        state[OPEN_TIME] += when - state[OPENED]
    state[OPEN] -= closed
    return DONE


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
def put_down(phase: int, cause: int, when: int, spent: Int64s, state: Int64s) -> None:
    """Put the time up to a command of the inner queue down to a cause."""
    spent[phase, cause] += max(when - state[CLOCK], 0)
    state[CLOCK] = max(when, state[CLOCK])


@inlined
def take(
    command: int, bank: int, when: int, groups: int, last: Int64s, window: Int64s, open_: Any, state: Int64s
) -> int:
    """Let a command happen; returns DONE, or how a bank refused it."""
    last[command, 0] = when
    if (command <= WR and command not in (ACTA, PREA)) or command in (LD_SB, RD_RB):
        last[command, 1 + bank % groups] = last[command, 1 + groups + bank] = when
    if command <= PREA:
        return take_rows(command, bank, when, window, open_, state)
    if command == REF:
        return ROW_OPEN if state[OPEN] > 0 else DONE
    if command == MAC:
        return DONE if state[OPEN] == len(open_) else ROW_CLOSED
    if command in (RD, WR, LD_SB) and not open_[bank]:
        return ROW_CLOSED
    return DONE


@inlined
def settled(
    command: int, span: int, when: int, groups: int, last: Int64s, rows: Int64s, first: Int64s, steps: Int64s
) -> int:
    """The step at which the rest of a run follows its first command at `when`; 0: each must be looked at.

    Even steps, if nothing before the run can hold a later command of it back, on whatever bank. That the
    other queue's commands may come in between is for the caller to see.
    """
    if span > 1 and span % groups != 0:
        return 0
    step: int = steps[command, 0 if span == 1 else 1]
    for i in range(first[command], first[command + 1]):
        if rows[i, 0] != command and last[rows[i, 0], 0] + rows[i, 2] > when:
            return 0
    return step

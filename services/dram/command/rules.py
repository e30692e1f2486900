"""What a rank allows and what a command does to it: the table, the activation window, the banks. Compiled."""

import numpy as np
from numpy.typing import NDArray

from l3sim.jit import jit
from l3sim.services.dram.command import memory_map as at
from l3sim.services.dram.command.memory_map import Rank, Table, Tally
from l3sim.units import Int64s


@jit(no_refs=True, inline=True)
def allowed(command: int, bank: int, table: Table, rank: Rank) -> tuple[int, int]:
    """(earliest cycle, command that it waits for) by the table and the activation window."""
    when, by = at.NEVER, -1
    group = 1 + bank % table.groups
    for i in range(table.first[command], table.first[command + 1]):
        level = table.rows[i, 1]
        place = 0 if level == 0 else (group if level == 1 else 1 + table.groups + bank)
        earliest = rank.last[table.rows[i, 0], place] + table.rows[i, 2]
        if earliest > when:
            when, by = earliest, table.rows[i, 0]
    if command == at.ACT and rank.window[0] + table.faw > when:
        when, by = rank.window[0] + table.faw, at.ACT
    return when, by


@jit(no_refs=True, inline=True)
def fill(is_open: NDArray[np.bool_], state: bool) -> None:
    """Open or close every bank."""
    for bank in range(len(is_open)):
        is_open[bank] = state


@jit(no_refs=True, inline=True)
def take_rows(command: int, bank: int, when: int, rank: Rank) -> int:
    """Open or close rows; returns DONE, or how a bank refused it."""
    window, is_open, state = rank.window, rank.is_open, rank.state
    if command == at.ACT:
        if is_open[bank]:
            return at.ROW_OPEN
        window[0], window[1], window[2], window[3] = window[1], window[2], window[3], when
        if state[at.OPEN] == 0:
            state[at.OPENED] = when
        is_open[bank] = True
        state[at.OPEN] += 1
        return at.DONE
    if command == at.ACTA:
        if state[at.OPEN] > 0:
            return at.ROW_OPEN
        fill(is_open, True)
        state[at.OPEN], state[at.OPENED] = len(is_open), when
        return at.DONE
    closed = state[at.OPEN] if command == at.PREA else int(is_open[bank])
    if command == at.PREA:
        fill(is_open, False)
    is_open[bank] = False
    if closed > 0 and state[at.OPEN] == closed:
        state[at.OPEN_TIME] += when - state[at.OPENED]
    state[at.OPEN] -= closed
    return at.DONE


@jit(no_refs=True, inline=True)
def note(command: int, when: int, run: int, number: int, state: Int64s, tally: Tally) -> None:
    """Count a command, and write it down while there is room."""
    tally.counts[command] += 1
    if command != at.REF:  # after which the bus is free long before it is used
        state[at.BUS] = when
    if state[at.TRACED] < len(tally.trace):
        slot = state[at.TRACED]
        tally.trace[slot, 0], tally.trace[slot, 1] = when + state[at.FROZEN], run
        tally.trace[slot, 2] = number
        state[at.TRACED] += 1


@jit(no_refs=True, inline=True)
def put_down(phase: int, cause: int, when: int, spent: Int64s, state: Int64s) -> None:
    """Put the time up to a command of the inner queue down to a cause."""
    spent[phase, cause] += max(when - state[at.CLOCK], 0)
    state[at.CLOCK] = max(when, state[at.CLOCK])


@jit(no_refs=True, inline=True)
def take(command: int, bank: int, when: int, groups: int, rank: Rank) -> int:
    """Let a command happen; returns DONE, or how a bank refused it."""
    last, state = rank.last, rank.state
    last[command, 0] = when
    if (command <= at.WR and command not in (at.ACTA, at.PREA)) or command in (at.LD_SB, at.RD_RB):
        last[command, 1 + bank % groups] = last[command, 1 + groups + bank] = when
    if command <= at.PREA:
        return take_rows(command, bank, when, rank)
    if command == at.REF:
        return at.ROW_OPEN if state[at.OPEN] > 0 else at.DONE
    if command == at.MAC:
        return at.DONE if state[at.OPEN] == len(rank.is_open) else at.ROW_CLOSED
    if command in (at.RD, at.WR, at.LD_SB) and not rank.is_open[bank]:
        return at.ROW_CLOSED
    return at.DONE


@jit(no_refs=True, inline=True)
def settled(command: int, span: int, when: int, table: Table, last: Int64s) -> int:
    """The step at which the rest of a run follows its first command at `when`; 0: each must be looked at.

    Even steps, if nothing before the run can hold a later command of it back, on whatever bank. That the
    other queue's commands may come in between is for the caller to see.
    """
    if span > 1 and span % table.groups != 0:
        return 0
    step: int = table.steps[command, 0 if span == 1 else 1]
    for i in range(table.first[command], table.first[command + 1]):
        if table.rows[i, 0] != command and last[table.rows[i, 0], 0] + table.rows[i, 2] > when:
            return 0
    return step

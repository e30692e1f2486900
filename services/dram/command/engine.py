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

import numpy as np
from numpy.typing import NDArray

from l3sim.jit import jit
from l3sim.services.dram.command import memory_map as at
from l3sim.services.dram.command.memory_map import Rank, Runs, Table, Tally
from l3sim.services.dram.command.program import INNER, NO_EVENT, OUTER, UNIT
from l3sim.services.dram.command.rules import allowed, note, put_down, settled, take
from l3sim.units import Int64s


@jit(no_refs=True, inline=True)
def waited(runs: Runs, run: int) -> tuple[int, int]:
    """(time, cause) of a run's later wait; (UNKNOWN, 0) while an event has not happened."""
    ops, events = runs.ops, runs.events
    when, cause = 0, -1
    if ops[run, at.WAIT_A] != NO_EVENT:
        if events[ops[run, at.WAIT_A]] == at.UNKNOWN:
            return at.UNKNOWN, 0
        when, cause = events[ops[run, at.WAIT_A]] + ops[run, at.DELAY_A], ops[run, at.CAUSE_A]
    if ops[run, at.WAIT_B] != NO_EVENT:
        if events[ops[run, at.WAIT_B]] == at.UNKNOWN:
            return at.UNKNOWN, 0
        other = events[ops[run, at.WAIT_B]] + ops[run, at.DELAY_B]
        if other > when:
            when, cause = other, ops[run, at.CAUSE_B]
    return when, cause


@jit(no_refs=True, inline=True)
def head(run: int, done: int, floor: int, runs: Runs, table: Table, rank: Rank) -> tuple[int, int]:
    """(earliest cycle, cause) of the next command of a run; (UNKNOWN, 0) while it waits for an event."""
    ops = runs.ops
    when, cause = 0, -1
    if done == 0:
        when, cause = waited(runs, run)
        if when == at.UNKNOWN:
            return at.UNKNOWN, 0
    if floor > when:
        when, cause = floor, -1
    command = ops[run, at.COMMAND]
    bank = ops[run, at.BANK] + done % ops[run, at.BANK_SPAN]
    legal, by = allowed(command, bank, table, rank)
    if legal > when:
        when, cause = legal, -1
        if command == at.MAC and by in (at.ACT, at.ACTA):
            cause = at.ROW_CAUSE
    return when, cause if cause >= 0 else ops[run, at.CAUSE]


@jit(no_refs=True, inline=True)
def serve_unit(runs: Runs, state: Int64s) -> None:
    """Let the rank's unit work as far as it can know."""
    ops, queues = runs.ops, runs.queues
    while queues[at.AT, UNIT] < queues[at.END, UNIT]:
        run = runs.order[queues[at.AT, UNIT]]
        when, _ = waited(runs, run)
        if when == at.UNKNOWN:
            break
        state[at.UNIT_FREE] = max(state[at.UNIT_FREE], when) + ops[run, at.COUNT]
        if ops[run, at.SIGNAL] != NO_EVENT:
            runs.events[ops[run, at.SIGNAL]] = state[at.UNIT_FREE]
        queues[at.AT, UNIT] += 1


@jit(no_refs=True, inline=True)
def choose(runs: Runs, table: Table, rank: Rank) -> tuple[int, int]:
    """(queue, cycle) of the command that goes next; UNKNOWN when both queues wait, or are empty.

    SOONEST and BECAUSE of a queue's next command are kept until something changes them.
    """
    queues, bus = runs.queues, rank.state[at.BUS]
    queue, when = INNER, at.UNKNOWN
    for q in (INNER, OUTER):
        if queues[at.AT, q] == queues[at.END, q]:
            continue
        run = runs.order[queues[at.AT, q]]
        if queues[at.SOONEST, q] == at.STALE:
            gone, floor = queues[at.GONE, q], queues[at.FLOOR, q]
            queues[at.SOONEST, q], queues[at.BECAUSE, q] = head(run, gone, floor, runs, table, rank)
        earliest = queues[at.SOONEST, q]
        if earliest == at.UNKNOWN:
            continue
        if earliest <= bus and runs.ops[run, at.COMMAND] != at.NOP:
            earliest = bus + 1
        if when == at.UNKNOWN or earliest < when:
            queue, when = q, earliest
    return queue, when


@jit(no_refs=True, inline=True)
def move_on(run: int, when: int, queue: int, runs: Runs, state: Int64s) -> None:
    """Go on to the next command of a run, or leave it behind and signal its event."""
    ops, queues = runs.ops, runs.queues
    step = queues[at.STEP, queue]
    queues[at.SOONEST, queue] = when + step if step > 0 else at.STALE
    queues[at.GONE, queue] += 1
    if queues[at.GONE, queue] < ops[run, at.COUNT]:
        return
    queues[at.AT, queue] += 1
    queues[at.SOONEST, queue], queues[at.GONE, queue], queues[at.STEP, queue] = at.STALE, 0, 0
    if ops[run, at.SIGNAL] == NO_EVENT:
        return
    runs.events[ops[run, at.SIGNAL]] = when
    serve_unit(runs, state)
    if queues[at.SOONEST, OUTER - queue] == at.UNKNOWN:
        queues[at.SOONEST, OUTER - queue] = at.STALE


@jit(no_refs=True, inline=True)
def unit_goes_on(runs: Runs, state: Int64s) -> bool:
    """Let the rank's unit work while both queues wait; whether it did anything."""
    queues = runs.queues
    served = queues[at.AT, UNIT]
    serve_unit(runs, state)
    queues[at.SOONEST, INNER] = queues[at.SOONEST, OUTER] = at.STALE
    return bool(queues[at.AT, UNIT] > served)


@jit(no_refs=True, inline=True)
def hold_back(queue: int, command: int, runs: Runs, bars: NDArray[np.bool_]) -> None:
    """Look anew at a queue's next command if one of the other queue may hold it back."""
    queues = runs.queues
    if queues[at.AT, queue] < queues[at.END, queue]:
        shown = runs.ops[runs.order[queues[at.AT, queue]], at.COMMAND]
        if bars[command, shown]:
            queues[at.SOONEST, queue], queues[at.STEP, queue] = at.STALE, 0


@jit(no_refs=True, inline=True)
def over(queues: Int64s) -> bool:
    """Whether nothing is left to do."""
    return bool(
        queues[at.AT, INNER] == queues[at.END, INNER]
        and queues[at.AT, OUTER] == queues[at.END, OUTER]
        and queues[at.AT, UNIT] == queues[at.END, UNIT]
    )


@jit(no_refs=True, inline=True)
def refreshed(phase: int, table: Table, state: Int64s, spent: Int64s) -> None:
    """Stand still for a refresh, and note when the next one is due."""
    state[at.DUE] += table.refi
    state[at.FROZEN] += table.rfc
    spent[phase, at.REFRESH_CAUSE] += table.rfc


@jit(no_refs=True, inline=True)
def walk(runs: Runs, table: Table, rank: Rank, tally: Tally) -> int:
    """Run a program to its end; returns DONE or what went wrong."""
    ops, queues, state = runs.ops, runs.queues, rank.state
    while True:
        queue, when = choose(runs, table, rank)
        if when == at.UNKNOWN:
            if not unit_goes_on(runs, state):
                return at.DONE if over(queues) else at.STUCK
            continue
        run, gone = runs.order[queues[at.AT, queue]], queues[at.GONE, queue]
        command = ops[run, at.COMMAND]
        if command == at.REF and (table.refi == 0 or when + state[at.FROZEN] < state[at.DUE]):
            queues[at.AT, queue] += 1
            queues[at.SOONEST, queue] = at.STALE
            continue
        if queue == INNER:
            put_down(ops[run, at.PHASE], queues[at.BECAUSE, INNER], when, tally.spent, state)
        if command in (at.NOP, at.REF):  # what follows a refresh may not have been held back by as much
            queues[at.FLOOR, queue] = when
        if command != at.NOP:
            span = ops[run, at.BANK_SPAN]
            bank = ops[run, at.BANK] + (gone % span if span > 1 else 0)
            error = take(command, bank, when, table.groups, rank)
            if error != at.DONE:
                return error
            note(command, when, run, gone, state, tally)
            hold_back(OUTER - queue, command, runs, table.bars)
            if command == at.REF:  # and the same run again: another may be due
                refreshed(ops[run, at.PHASE], table, state, tally.spent)
                continue
            if gone == 0 and ops[run, at.COUNT] > 2:
                queues[at.STEP, queue] = settled(command, span, when, table, rank.last)
                queues[at.BECAUSE, queue] = ops[run, at.CAUSE]
        move_on(run, when, queue, runs, state)


def _example() -> tuple[object, ...]:
    """A program without a run, on one bank."""
    one, square = np.zeros(1, dtype=np.int64), np.zeros((1, 3), dtype=np.int64)
    runs = Runs(square, one, np.zeros((at.QUEUE_SIZE, 3), dtype=np.int64), one)
    table = Table(1, square, one, square, np.zeros((1, 1), dtype=np.bool_), 1, 1, 1)
    rank = Rank(square, one, np.zeros(1, dtype=np.bool_), np.zeros(at.STATE_SIZE, dtype=np.int64))
    return (*runs, *table, *rank, *Tally(one, square, square))


@jit(cache=True, no_refs=True, example=_example)
def run_program(
    ops: Int64s, order: Int64s, queues: Int64s, events: Int64s, groups: int, rows: Int64s, first: Int64s,
    steps: Int64s, bars: NDArray[np.bool_], faw: int, refi: int, rfc: int, last: Int64s, window: Int64s,
    is_open: NDArray[np.bool_], state: Int64s, counts: Int64s, spent: Int64s, trace: Int64s,
) -> int:  # fmt: skip
    """See `walk`: the fields of its arguments one after the other, since numba takes these faster."""
    table = Table(groups, rows, first, steps, bars, faw, refi, rfc)
    rank = Rank(last, window, is_open, state)
    return walk(Runs(ops, order, queues, events), table, rank, Tally(counts, spent, trace))

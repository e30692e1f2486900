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

from l3sim.services.dram.command.compiling import (
    ACT,
    ACTA,
    AT,
    BANK,
    BANK_SPAN,
    BECAUSE,
    BUS,
    CAUSE,
    CAUSE_A,
    CAUSE_B,
    COMMAND,
    COUNT,
    DELAY_A,
    DELAY_B,
    DONE,
    DUE,
    END,
    FLOOR,
    FROZEN,
    GONE,
    MAC,
    NOP,
    PHASE,
    REF,
    REFRESH_CAUSE,
    ROW_CAUSE,
    SIGNAL,
    SOONEST,
    SOURCES,
    STALE,
    STEP,
    STUCK,
    UNIT_FREE,
    UNKNOWN,
    WAIT_A,
    WAIT_B,
    inlined,
    kept,
    sources,
)
from l3sim.services.dram.command.program import INNER, NO_EVENT, OUTER, UNIT
from l3sim.services.dram.command.rules import allowed, note, put_down, settled, take
from l3sim.units import Int64s


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
    queues: Int64s, ops: Int64s, order: Int64s, events: Int64s, groups: int, last: Int64s, rows: Int64s,
    first: Int64s, window: Int64s, faw: int, state: Int64s,
) -> tuple[int, int]:  # fmt: skip
    """(queue, cycle) of the command that goes next; UNKNOWN when both queues wait, or are empty.

    SOONEST and BECAUSE of a queue's next command are kept until something changes them.
    """
    queue, when = INNER, UNKNOWN
    for q in (INNER, OUTER):
        if queues[AT, q] == queues[END, q]:
            continue
        run = order[queues[AT, q]]
        if queues[SOONEST, q] == STALE:
            queues[SOONEST, q], queues[BECAUSE, q] = head(
                run, queues[GONE, q], queues[FLOOR, q], ops, events, groups, last, rows, first, window, faw
            )
        earliest = queues[SOONEST, q]
        if earliest == UNKNOWN:
            continue
        if earliest <= state[BUS] and ops[run, COMMAND] != NOP:
            earliest = state[BUS] + 1
        if when == UNKNOWN or earliest < when:
            queue, when = q, earliest
    return queue, when


@inlined
def move_on(
    run: int, when: int, queue: int, queues: Int64s, ops: Int64s, order: Int64s, events: Int64s, state: Int64s
) -> None:
    """Go on to the next command of a run, or leave it behind and tell those who wait for it."""
    step = queues[STEP, queue]
    queues[SOONEST, queue] = when + step if step > 0 else STALE
    queues[GONE, queue] += 1
    if queues[GONE, queue] < ops[run, COUNT]:
        return
    queues[AT, queue] += 1
    queues[SOONEST, queue], queues[GONE, queue], queues[STEP, queue] = STALE, 0, 0
    if ops[run, SIGNAL] == NO_EVENT:
        return
    events[ops[run, SIGNAL]] = when
    queues[AT, UNIT] = serve_unit(ops, order, queues[AT, UNIT], queues[END, UNIT], events, state)
    if queues[SOONEST, OUTER - queue] == UNKNOWN:
        queues[SOONEST, OUTER - queue] = STALE


@inlined
def unit_goes_on(queues: Int64s, ops: Int64s, order: Int64s, events: Int64s, state: Int64s) -> bool:
    """Let the rank's unit work while both queues wait; whether it did anything."""
    served = queues[AT, UNIT]
    queues[AT, UNIT] = serve_unit(ops, order, served, queues[END, UNIT], events, state)
    queues[SOONEST, INNER] = queues[SOONEST, OUTER] = STALE
    return bool(queues[AT, UNIT] > served)


@inlined
def hold_back(queue: int, command: int, queues: Int64s, ops: Int64s, order: Int64s, bars: Any) -> None:
    """Look anew at a queue's next command if one of the other queue may hold it back."""
    if queues[AT, queue] < queues[END, queue] and bars[command, ops[order[queues[AT, queue]], COMMAND]]:
        queues[SOONEST, queue], queues[STEP, queue] = STALE, 0


@inlined
def over(queues: Int64s) -> bool:
    """Whether nothing is left to do."""
    return bool(
        queues[AT, INNER] == queues[END, INNER]
        and queues[AT, OUTER] == queues[END, OUTER]
        and queues[AT, UNIT] == queues[END, UNIT]
    )


@inlined
def refreshed(refi: int, rfc: int, phase: int, spent: Int64s, state: Int64s) -> None:
    """Stand still for a refresh, and note when the next one is due."""
    state[DUE] += refi
    state[FROZEN] += rfc
    spent[phase, REFRESH_CAUSE] += rfc


@inlined
def walk(
    ops: Int64s, order: Int64s, queues: Int64s, events: Int64s, groups: int, rows: Int64s, first: Int64s,
    steps: Int64s, bars: Any, faw: int, refi: int, rfc: int, last: Int64s, window: Int64s, open_: Any,
    counts: Int64s, spent: Int64s, state: Int64s, trace: Int64s,
) -> int:  # fmt: skip
    """Run a program to its end; returns DONE or what went wrong. What follows `rfc` is written, too.

    Args:
        ops: shape (runs, fields). order: runs by queue. queues: as `compiling` says, shape (QUEUE_SIZE, 3).
        events: UNKNOWN but for event 0, written. refi: 0: nothing is refreshed.
        rows, first: see `allowed`. steps: see `settled`.
        bars: whether a command may hold another back, shape (commands, commands).
        last, window, open_: see `allowed` and `take_rows`.
        counts: commands of each kind. spent: cycles by (phase, cause).
        state: with the cycle of the first refresh in DUE.
        trace: (cycle, run, number in the run), written as far as it reaches.
    """
    while True:
        queue, when = choose(queues, ops, order, events, groups, last, rows, first, window, faw, state)
        if when == UNKNOWN:
            if not unit_goes_on(queues, ops, order, events, state):
                return DONE if over(queues) else STUCK
            continue
        run, gone = order[queues[AT, queue]], queues[GONE, queue]
        command = ops[run, COMMAND]
        if command == REF and (refi == 0 or when + state[FROZEN] < state[DUE]):
            queues[AT, queue] += 1
            queues[SOONEST, queue] = STALE
            continue
        if queue == INNER:
            put_down(ops[run, PHASE], queues[BECAUSE, INNER], when, spent, state)
        if command in (NOP, REF):  # what follows a refresh may not have been held back by as much
            queues[FLOOR, queue] = when
        if command != NOP:
            span = ops[run, BANK_SPAN]
            bank = ops[run, BANK] + (gone % span if span > 1 else 0)
            error = take(command, bank, when, groups, last, window, open_, state)
            if error != DONE:
                return error
            note(command, when, run, gone, counts, state, trace)
            hold_back(OUTER - queue, command, queues, ops, order, bars)
            if command == REF:  # and the same run again: another may be due
                refreshed(refi, rfc, ops[run, PHASE], spent, state)
                continue
            if gone == 0 and ops[run, COUNT] > 2:
                queues[STEP, queue] = settled(command, span, when, groups, last, rows, first, steps)
                queues[BECAUSE, queue] = ops[run, CAUSE]
        move_on(run, when, queue, queues, ops, order, events, state)


def _kept(_sources: int) -> Callable[..., int]:
    """Make the entry to the compiled code, which is compiled anew when a source has changed."""

    @kept
    def run_program(
        ops: Int64s, order: Int64s, queues: Int64s, events: Int64s, groups: int, rows: Int64s, first: Int64s,
        steps: Int64s, bars: Any, faw: int, refi: int, rfc: int, last: Int64s, window: Int64s, open_: Any,
        counts: Int64s, spent: Int64s, state: Int64s, trace: Int64s,
    ) -> int:  # fmt: skip
        """See `walk`."""
        state[SOURCES] = _sources
        return walk(
            ops, order, queues, events, groups, rows, first, steps, bars, faw, refi, rfc, last, window,
            open_, counts, spent, state, trace,
        )  # fmt: skip

    return run_program


run_program = _kept(sources())

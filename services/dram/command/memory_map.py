"""What the compiled controller reads and writes: codes, columns and rows, as plain integers."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.program import Cause, Field
from l3sim.units import Int64s

NEVER = -(1 << 40)
UNKNOWN = -1
#: Of a queue's next command: to be worked out.
STALE = -2
#: Ends of a run.
DONE, ROW_OPEN, ROW_CLOSED, STUCK = 0, 1, 2, 3

ACT, ACTA, PRE, PREA = (int(c) for c in (Command.ACT, Command.ACTA, Command.PRE, Command.PREA))
RD, WR, REF, NOP = (int(c) for c in (Command.RD, Command.WR, Command.REF, Command.NOP))
MAC, LD_SB, RD_RB = (int(c) for c in (Command.PIM_MAC, Command.PIM_LD_SB, Command.PIM_RD_RB))
COMMAND, QUEUE, COUNT = int(Field.COMMAND), int(Field.QUEUE), int(Field.COUNT)
BANK, BANK_SPAN, SIGNAL = int(Field.BANK), int(Field.BANK_SPAN), int(Field.SIGNAL)
WAIT_A, DELAY_A, CAUSE_A = int(Field.WAIT_A), int(Field.DELAY_A), int(Field.CAUSE_A)
WAIT_B, DELAY_B, CAUSE_B = int(Field.WAIT_B), int(Field.DELAY_B), int(Field.CAUSE_B)
PHASE, CAUSE = int(Field.PHASE), int(Field.CAUSE)
ROW_CAUSE, REFRESH_CAUSE = int(Cause.ROW), int(Cause.REFRESH)

#: Scalars of the state.
CLOCK, BUS, DUE, OPEN, OPENED, OPEN_TIME, FROZEN, UNIT_FREE, TRACED, STATE_SIZE = range(10)
#: What is known of a queue, by row: the run that it shows (an index of `order`) and where it ends; commands
#: of that run that are gone, no cycle before which the next goes, the step at which it goes on (0: look at
#: each), the earliest cycle of the next (or UNKNOWN, or STALE) and the cause of that.
AT, END, GONE, FLOOR, STEP, SOONEST, BECAUSE = range(7)
QUEUE_SIZE = 7


class Runs(NamedTuple):
    """A program and how far it has come.

    Attributes:
        ops: shape (runs, fields).
        order: runs by queue.
        queues: see above, shape (QUEUE_SIZE, 3); written.
        events: cycle of each, or UNKNOWN; written.
    """

    ops: Int64s
    order: Int64s
    queues: Int64s
    events: Int64s


class Table(NamedTuple):
    """What a kind of rank allows.

    Attributes:
        groups: bank groups.
        rows: (before, level, cycles) of each constraint, sorted by `after`; level 0: rank, 1: group, 2: bank.
        first: where the rows of a command begin.
        steps: cycles between equal commands, shape (commands, 2); see `rules.settled`.
        bars: whether a command may hold another back, shape (commands, commands).
        faw, refi, rfc: tCK; a refi of 0: nothing is refreshed.
    """

    groups: int
    rows: Int64s
    first: Int64s
    steps: Int64s
    bars: NDArray[np.bool_]
    faw: int
    refi: int
    rfc: int


class Rank(NamedTuple):
    """A rank while a program runs; written.

    Attributes:
        last: cycle of the last command of each kind by rank, group and bank, shape (commands, 1 + groups +
            banks).
        window: cycles of the last four activations, oldest first.
        is_open: whether each bank has a row open.
        state: the scalars, with the cycle of the first refresh in DUE.
    """

    last: Int64s
    window: Int64s
    is_open: NDArray[np.bool_]
    state: Int64s


class Tally(NamedTuple):
    """What is counted; written.

    Attributes:
        counts: commands of each kind.
        spent: cycles by (phase, cause).
        trace: (cycle, run, number in the run) of commands, as far as it has rows.
    """

    counts: Int64s
    spent: Int64s
    trace: Int64s

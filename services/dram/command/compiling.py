"""How the command level is compiled, and the numbers that its compiled parts share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast
from zlib import crc32

import numba

from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.program import Cause, Field

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
CLOCK, BUS, DUE, OPEN, OPENED, OPEN_TIME, FROZEN, UNIT_FREE, TRACED, SOURCES = range(10)
STATE_SIZE = 10
#: What is known of a queue, by row: the run that it shows (an index of `order`) and where it ends; commands
#: of that run that are gone, no cycle before which the next goes, the step at which it goes on (0: look at
#: each), the earliest cycle of the next (or UNKNOWN, or STALE) and the cause of that.
AT, END, GONE, FLOOR, STEP, SOONEST, BECAUSE = range(7)
QUEUE_SIZE = 7

#: Nothing here makes an array, and whoever calls holds all of them: counting references to them, at each of
#: the small functions, took three quarters of the time.
_OPTIONS: Mapping[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}

F = TypeVar("F", bound=Callable[..., Any])


def inlined(function: F) -> F:
    """Compile as part of whoever calls it. All is integer, so there is no fast-math to allow."""
    return cast(F, numba.njit(**_OPTIONS, forceinline=True)(function))


def kept(function: F) -> F:
    """Compile, and keep on disk."""
    return cast(F, numba.njit(**_OPTIONS, cache=True)(function))


def sources() -> int:
    """A number that changes with any source file of this package.

    Numba looks only at the file of the kept function; this number, closed over, makes it see the others.
    """
    return crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))

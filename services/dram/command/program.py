"""Programs: runs of equal commands on two queues, and the events that tie them.

A rank's controller has an *inner* and an *outer* queue, one for each bus, and the rank's *unit* works beside
them. Each is first in, first out. A run says: these many of this command, over these banks and columns, not
before those events, and signal that one. So attention over a million commands is some thousand rows.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from l3sim.services.dram.command.commands import Command
from l3sim.units import Int64s

INNER, OUTER, UNIT = 0, 1, 2
NO_EVENT = -1


class Phase(IntEnum):
    """What a run is for."""

    APPEND = 0
    SCORE = 1
    CONTEXT = 2
    OUTPUT = 3
    HOST = 4


class Cause(IntEnum):
    """What the time up to a command of the inner queue is put down to."""

    COMPUTE = 0  # a column every CCD_L
    ROW = 1  # closing and opening rows
    REFRESH = 2
    QUERY = 3  # Q on its way to the shared buffers
    COLLECT = 4  # results on their way to the rank's unit
    SOFTMAX = 5  # the rank's unit
    STREAM = 6  # S on its way to the shared buffers
    WRITE = 7  # the new token's K and V
    RELAYOUT = 8  # the processor's copies
    HOST = 9  # a host transfer that takes the bus


class Field(IntEnum):
    """Columns of a program. Waits come in two, each with a delay after its event and a cause."""

    COMMAND = 0
    QUEUE = 1
    COUNT = 2  # commands; of UNIT: cycles
    BANK = 3  # command i: bank + i mod bank_span
    BANK_SPAN = 4
    COLUMN = 5  # command i: column + i div column_hold
    COLUMN_HOLD = 6
    ROW = 7
    SLOT = 8  # number of the chunk: it fills a slot of a buffer, in turn
    FIRST = 9  # token of the group, or query, that the run begins with
    WAIT_A = 10
    DELAY_A = 11
    CAUSE_A = 12
    WAIT_B = 13
    DELAY_B = 14
    CAUSE_B = 15
    SIGNAL = 16
    PHASE = 17
    CAUSE = 18


@dataclass(frozen=True)
class Wait:
    """Not before `delay` cycles after an event."""

    event: int
    delay: int
    cause: Cause


class Program:
    """Collects runs in program order.

    Attributes:
        events: how many there are; event 0 is the start of the program.
    """

    def __init__(self) -> None:
        self.events = 1
        self._runs: list[tuple[int, ...]] = []
        self._before: list[Int64s] = []

    @property
    def mark(self) -> tuple[int, int]:
        """Where the program stands: (runs since the last repetition, events)."""
        return len(self._runs), self.events

    def event(self) -> int:
        """A new event."""
        self.events += 1
        return self.events - 1

    def add(
        self,
        command: Command,
        queue: int,
        phase: Phase,
        cause: Cause,
        *waits: Wait,
        count: int = 1,
        bank: int = 0,
        bank_span: int = 1,
        column: int = 0,
        column_hold: int = 1,
        row: int = 0,
        slot: int = 0,
        first: int = 0,
        signal: bool = False,
    ) -> int:
        """Append a run; returns the event that its last command signals, or NO_EVENT.

        Raises:
            ValueError: more than two waits.
        """
        if len(waits) > 2:
            raise ValueError(f"a run has at most two waits, got {len(waits)}")
        done = self.event() if signal else NO_EVENT
        flat: list[int] = []
        for wait in (*waits, *(Wait(NO_EVENT, 0, Cause.COMPUTE),) * (2 - len(waits))):
            flat += (wait.event, wait.delay, wait.cause)
        where = (bank, bank_span, column, column_hold, row, slot, first)
        self._runs.append((command, queue, count, *where, *flat, done, phase, cause))
        return done

    def repeat(self, first: tuple[int, int], second: tuple[int, int], times: int) -> int:
        """Go on `times` as from one stretch of runs to the next, if they are alike.

        They are alike when the second is the first moved on: other rows, other tokens, and every event as
        much later as there are events in a stretch.

        Args:
            first, second: marks where the stretches begin; the second ends here.

        Returns: by how much events move from one to the next; 0: they are not alike, and nothing was added.
        """
        shift = second[1] - first[1]
        one, two = _array(self._runs[first[0] : second[0]]), _array(self._runs[second[0] :])
        if one.shape != two.shape:
            return 0
        moved = two - one
        used = two[:, _EVENTS] != NO_EVENT
        if not (moved[:, _EVENTS] == np.where(used, shift, 0)).all() or moved[:, _FIXED].any():
            return 0
        again = two + np.arange(1, times + 1)[:, None, None] * moved
        self._before += [_array(self._runs), again.reshape(-1, len(Field))]
        self._runs = []
        self.events += times * shift
        return shift

    def array(self) -> Int64s:
        """The runs, shape (runs, fields)."""
        return np.concatenate([*self._before, _array(self._runs)])


_EVENTS = [Field.WAIT_A, Field.WAIT_B, Field.SIGNAL]
_MOVING = [*_EVENTS, Field.ROW, Field.FIRST, Field.SLOT]
_FIXED = [field for field in Field if field not in _MOVING]


def _array(runs: list[tuple[int, ...]]) -> Int64s:
    return np.array(runs, dtype=np.int64).reshape(-1, len(Field))

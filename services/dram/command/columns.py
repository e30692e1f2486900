"""What an attend call took, as one row of integers: cycles by phase and cause, commands, and what energy
needs.

Rows of head groups add up (`services/dram/fast`), and energy is a weighted sum of a row (`energy`), so
both levels share this form. It needs no compiler.
"""

from dataclasses import dataclass

import numpy as np

from l3sim.services.dram.command.commands import ISSUED, Command
from l3sim.services.dram.command.program import Cause, Phase
from l3sim.units import Floats, Int64s

_SPENT = len(Phase) * len(Cause)
COMMANDS = slice(_SPENT, _SPENT + len(ISSUED))
#: Cycles with a row open; exponentials and scalings of scores.
OPEN_CYCLES, ELEMENTS = COMMANDS.stop, COMMANDS.stop + 1
WIDTH = ELEMENTS + 1


@dataclass(frozen=True)
class Took:
    """One row, read by name. `values`: shape (WIDTH,)."""

    values: Int64s

    @property
    def cycles(self) -> int:
        """From the start to the end, tCK."""
        return int(self.values[:_SPENT].sum())

    def command(self, command: Command) -> int:
        """How many of a command."""
        return int(self.values[COMMANDS][command])

    @property
    def spent(self) -> Int64s:
        """Cycles, shape (phases, causes)."""
        return self.values[:_SPENT].reshape(len(Phase), len(Cause))

    def cause(self, *causes: Cause, phase: Phase | None = None) -> int:
        """Cycles put down to some causes, in one phase or all."""
        rows = self.spent if phase is None else self.spent[phase : phase + 1]
        return int(rows[:, list(causes)].sum())


def cycles_of(rows: Int64s) -> Int64s:
    """Cycles of rows, shape (..., WIDTH) to (...)."""
    total: Int64s = rows[..., :_SPENT].sum(axis=-1)
    return total


def each_cycle(weight: float) -> Floats:
    """Weights of a row's columns that come to so much a cycle, shape (WIDTH,)."""
    of = np.zeros(WIDTH)
    of[:_SPENT] = weight
    return of


def row_of(spent: Int64s, commands: Int64s, open_cycles: int, elements: int) -> Int64s:
    """Make a row of what the engine counted."""
    return np.concatenate([spent.ravel(), commands[: len(ISSUED)], [open_cycles, elements]])

"""A call as one row of integers: what was put in is read by name, and weights count cycles only."""

import numpy as np

from l3sim.services.dram.command.columns import WIDTH, Took, cycles_of, each_cycle, row_of
from l3sim.services.dram.command.commands import ISSUED, Command
from l3sim.services.dram.command.program import Cause, Phase


def row() -> Took:
    spent = np.arange(len(Phase) * len(Cause)).reshape(len(Phase), len(Cause))
    return Took(row_of(spent, 100 + np.arange(len(Command)), open_cycles=7, elements=9))


def test_what_was_counted_is_read_by_name() -> None:
    took = row()
    assert len(took.values) == WIDTH
    assert took.values[-2:].tolist() == [7, 9]
    assert [took.command(command) for command in ISSUED] == [100 + int(command) for command in ISSUED]
    assert took.spent[Phase.SCORE, Cause.ROW] == len(Cause) + 1
    assert took.cause(Cause.COMPUTE, Cause.ROW, phase=Phase.SCORE) == 2 * len(Cause) + 1
    assert took.cause(Cause.COMPUTE) == sum(phase * len(Cause) for phase in Phase)


def test_cycles_add_up_over_rows() -> None:
    took = row()
    assert took.cycles == sum(range(len(Phase) * len(Cause)))
    assert cycles_of(np.stack([took.values, 2 * took.values])).tolist() == [took.cycles, 2 * took.cycles]
    assert took.values @ each_cycle(0.5) == took.cycles / 2

"""When each command of a call reads and writes what the others read and write.

A command stream is executed in the order of its *effects*, at the cycles at which the timing model issued the
commands: were a wait of the program missing, its data would be wrong as it would be in the module.

    command   at cycle            effect
    --------  ------------------  ---------------------------------------------------------------
    ACT ...   t                   the row is open or closed; WR, RD: the column is written or read
    PIM_MAC   t                   all banks read their column
              t + CL              it meets the shared buffer, and is added to the result buffer
              t + CL + latency    the sum is finished: read before that, it is not a number
    PIM_WR_SB t + WL              the burst begins: what lay in the slot is lost
              t + WL + BL         the burst has arrived
    PIM_RD_RB t                   the result buffer is read
              t + CL + BL         the burst is in the rank's unit
    UNIT      its last cycle      the rank's unit has done its work; it must have had its data at the first

At one cycle, what arrives comes first and what is lost last.
"""

from collections.abc import Iterator
from enum import IntEnum

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.services.dram.command.columns import COMMANDS
from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.program import NO_EVENT, Field
from l3sim.services.dram.command.result import Outcome
from l3sim.specs.rank import RankConfig
from l3sim.units import Int64s


class Effect(IntEnum):
    """In the order in which they happen at one cycle."""

    WORKED = 0  # of UNIT
    ARRIVED = 1  # of PIM_WR_SB
    ISSUED = 2
    MULTIPLIED = 3  # of PIM_MAC
    LOST = 4  # of PIM_WR_SB


def effects_of(pim: RankConfig, outcome: Outcome) -> Iterator[tuple[int, Effect, int, int]]:
    """(cycle, effect, run, number in the run) of a call, in order.

    Raises:
        InvariantBroken: the trace does not hold every command.
    """
    issued = outcome.values[COMMANDS].sum()
    if len(outcome.trace) != issued:
        text = f"{len(outcome.trace)} of {issued} commands were traced"
        raise InvariantBroken(f"{text}; trace them all")
    command = outcome.program[outcome.trace[:, 1], Field.COMMAND]
    parts = [_lines(outcome.trace, Effect.ISSUED, 0)]
    parts.append(_lines(outcome.trace[command == Command.PIM_MAC], Effect.MULTIPLIED, pim.cl_tck))
    bursts = outcome.trace[command == Command.PIM_WR_SB]
    parts.append(_lines(bursts, Effect.LOST, pim.wl_tck))
    parts.append(_lines(bursts, Effect.ARRIVED, pim.wl_tck + pim.bl_tck))
    worked = [(end, number, 0) for number, _, end in unit_times(outcome)]
    parts.append(_lines(np.array(worked, dtype=np.int64).reshape(-1, 3), Effect.WORKED, 0))
    lines = np.concatenate(parts)
    order = np.lexsort((lines[:, 3], lines[:, 2], lines[:, 1], lines[:, 0]))
    for when, effect, of, number in lines[order].tolist():
        yield when, Effect(effect), of, number


def unit_times(outcome: Outcome) -> list[tuple[int, int, int]]:
    """(run, first cycle, cycle after the last) of the work of the rank's unit, in its order."""
    program, trace = outcome.program, outcome.trace
    happened = {0: 0}
    last = trace[trace[:, 2] == program[trace[:, 1], Field.COUNT] - 1]
    for when, run in last[:, :2].tolist():
        happened[int(program[run, Field.SIGNAL])] = when
    free, times = 0, []
    for run in np.flatnonzero(program[:, Field.COMMAND] == Command.UNIT).tolist():
        line = program[run]
        begin = free
        for event, delay in ((Field.WAIT_A, Field.DELAY_A), (Field.WAIT_B, Field.DELAY_B)):
            if line[event] != NO_EVENT:
                begin = max(begin, happened[int(line[event])] + int(line[delay]))
        free = begin + int(line[Field.COUNT])
        happened[int(line[Field.SIGNAL])] = free
        times.append((run, begin, free))
    return times


def _lines(trace: Int64s, effect: Effect, delay: int) -> Int64s:
    """(cycle, effect, run, number) of traced commands, so much later."""
    lines = np.empty((len(trace), 4), dtype=np.int64)
    lines[:, 0] = trace[:, 0] + delay
    lines[:, 1] = effect
    lines[:, 2:] = trace[:, 1:]
    return lines

"""Kernels of the reference machine with some keys changed, and traces as lists of steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from l3sim.placement import layout_of
from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.kernel import Kernel, kernel_of
from l3sim.services.dram.command.program import Field, Program
from l3sim.services.dram.command.result import Outcome, attend, execute
from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.rank import RankConfig
from l3sim.units import Int64s
from tests.services.builders import machine, reshaped


def pim_of(**keys: Any) -> DimmPimConfig:
    """The module of the reference machine with some keys changed; banks are opened one by one if not said."""
    pim: DimmPimConfig = machine().attention
    return msgspec.structs.replace(pim, **{"all_bank_faw": "obey"} | keys)


@cache
def kernel(queries: int = 1, **keys: Any) -> Kernel:
    """A kernel of 8 KV heads with so many queries each; `n_hc` and the like are keys of the module."""
    pim = pim_of(**keys)
    shape = reshaped("llama-2-70b", heads=8 * queries, kv_heads=8)
    return kernel_of(pim, shape, layout_of(pim, shape, 1, 1))


@dataclass(frozen=True)
class Step:
    """One command of a trace; `run` and `number` say where it stands in the program."""

    cycle: int
    command: Command
    bank: int
    run: int
    number: int


def steps_of(outcome: Outcome) -> list[Step]:
    """The trace, with its operands."""
    steps = []
    for cycle, run, number in outcome.trace.tolist():
        of = outcome.program[run]
        bank = int(of[Field.BANK]) + number % int(of[Field.BANK_SPAN])
        steps.append(Step(cycle, Command(int(of[Field.COMMAND])), bank, run, number))
    return steps


def traced(of: Kernel, tokens: Sequence[int]) -> tuple[Outcome, list[Step]]:
    """An attend call with every command of it."""
    outcome = attend(of, tokens, traced=issued(attend(of, tokens)))
    return outcome, steps_of(outcome)


def run_traced(pim: RankConfig, program: Program) -> tuple[Outcome, list[Step]]:
    """Any program with every command of it."""
    outcome = execute(pim, program, traced=issued(execute(pim, program)))
    return outcome, steps_of(outcome)


def issued(outcome: Outcome) -> int:
    """How many commands stand on the command bus."""
    return sum(outcome.command(command) for command in Command if command < Command.NOP)


def runs(outcome: Outcome) -> Int64s:
    """The program, shape (runs, fields)."""
    return outcome.program

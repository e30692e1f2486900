"""A harness for one row of the timing table: a small program whose last command that row alone holds back.

    setup, long before | NOP up to cycle 2000 | before, what lies between, after

`gate` runs it and returns how long `after` kept behind `before`; the second checker must allow that and must
refuse one cycle less. It works for any rank, of DIMMs or of stacks.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import msgspec
import pytest

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.constraints import Constraint, constraints_of
from l3sim.services.dram.command.program import INNER, Cause, Phase, Program, Wait
from l3sim.specs.rank import RankConfig
from tests.services.dram.command.checker import Illegal, check
from tests.services.dram.command.kernels import Step, run_traced

SETTLED = 2000
NEED_A_ROW = (Cmd.RD, Cmd.WR, Cmd.PIM_LD_SB, Cmd.PIM_MAC)
CLOSED = (Cmd.ACT, Cmd.ACTA, Cmd.REF)
Order = tuple[Cmd, int]
RankT = TypeVar("RankT", bound=RankConfig)


def reachable(pim: RankConfig) -> Iterator[tuple[Constraint, Cmd, Cmd]]:
    """Each row of a table but those of slots, with each pair that can follow directly, or over a row.

    After a refresh no row is open: a column command waits for an activation, which waits for RFC.
    """
    for row in constraints_of(pim):
        if row.level == "slot":
            continue
        for before in row.before:
            for after in row.after:
                if before != Cmd.REF or after not in NEED_A_ROW:
                    yield row, before, after


def scenario(
    pim: RankConfig, level: str, before: Cmd, after: Cmd
) -> tuple[list[Order], list[Order], list[Order]]:
    """(setup, what comes between, the end) of a pair."""
    # Successive banks are of different groups.
    first, second = {"rank": (0, 1), "group": (0, pim.bank_groups), "bank": (0, 0)}[level]
    setup: list[Order] = []
    between: list[Order] = []
    if before == Cmd.ACT:
        if after == Cmd.PIM_MAC:
            setup = [(Cmd.ACT, bank) for bank in range(1, pim.banks_per_chip)]
        if after in CLOSED and not (after == Cmd.ACT and first != second):
            between = [(Cmd.PRE, first)]
    elif before == Cmd.ACTA:
        between = [(Cmd.PREA, 0)] if after in CLOSED else []
    elif before == Cmd.PRE:
        setup = [(Cmd.ACT, first)]
        second = first
    elif before == Cmd.PREA or before in NEED_A_ROW or after in (*NEED_A_ROW, Cmd.PRE, Cmd.PREA):
        setup = [] if before == Cmd.REF else [(Cmd.ACTA, 0)]
    return setup, [(before, first), *between], [(after, second)]


def config(pim: RankT, before: Cmd, after: Cmd) -> RankT:
    """The rank with tRC longer than tRAS + tRP, so that it shows."""
    return msgspec.structs.replace(
        pim,
        rc_tck=200,
        refresh=Cmd.REF in (before, after),
        # One refresh is due when the commands come, or two.
        refi_tck=1100 if before == after == Cmd.REF else 1500,
    )


def write(orders: list[list[Order]]) -> Program:
    """A program of one queue."""
    setup, *rest = orders
    program = Program()
    for command, bank in setup:
        program.add(command, INNER, Phase.SCORE, Cause.COMPUTE, bank=bank)
    program.add(Cmd.NOP, INNER, Phase.SCORE, Cause.COMPUTE, Wait(0, SETTLED, Cause.COMPUTE))
    for command, bank in [order for part in rest for order in part]:
        program.add(command, INNER, Phase.SCORE, Cause.COMPUTE, bank=bank)
    return program


def gate(of: RankConfig, level: str, before: Cmd, after: Cmd) -> int:
    """Cycles from `before` to `after`, which the checker finds tight.

    Raises:
        Illegal: the trace is illegal. AssertionError: or it is not tight.
    """
    setup, begin, end = scenario(of, level, before, after)
    if before == after == Cmd.REF:
        end = []  # a run of REF takes all that are due
    pim = config(of, before, after)
    _, steps = run_traced(pim, write([setup, begin, end]))
    at = len(setup)
    assert (steps[at].command, steps[at].cycle) == (before, SETTLED)
    assert steps[-1].command == after
    check(pim, steps)
    with pytest.raises(Illegal):
        check(pim, earlier(steps))
    return steps[-1].cycle - SETTLED


def earlier(steps: list[Step]) -> list[Step]:
    """The same with the last command one cycle earlier."""
    return [*steps[:-1], replace(steps[-1], cycle=steps[-1].cycle - 1)]

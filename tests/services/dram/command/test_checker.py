"""Every program keeps the rules as `checker` knows them, wastes no cycle, and overfills no buffer."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.kernel import Kernel
from tests.services.dram.command.buffers import check_buffers
from tests.services.dram.command.checker import Illegal, check
from tests.services.dram.command.domain import calls
from tests.services.dram.command.kernels import Step, kernel, pim_of, traced
from tests.services.dram.command.replay import Loose, reasons


@settings(max_examples=100)
@given(call=calls())
def test_every_program_is_legal_and_tight(call: tuple[Kernel, list[int]]) -> None:
    of, tokens = call
    outcome, steps = traced(of, tokens)
    check(of.pim, steps)
    reasons(of.pim, outcome.program, steps)
    if of.pim.pu == "bank":
        check_buffers(of, outcome, steps)
    assert outcome.cycles > steps[-1].cycle


@given(tokens=st.integers(1, 120), spoiled=st.integers(1, 10**6), by=st.integers(1, 40))
@settings(max_examples=30)
def test_a_command_moved_forward_is_refused(tokens: int, spoiled: int, by: int) -> None:
    # Only one that a rule of the rank holds back: moving one that waits for the unit is legal to DRAM.
    of = kernel(refresh=False)
    _, steps = traced(of, [tokens])
    at = spoiled % len(steps)
    step = steps[at]
    moved = sorted([*steps[:at], replace(step, cycle=step.cycle - by), *steps[at + 1 :]], key=cycle_of)
    if step.command in (Cmd.ACT, Cmd.PIM_MAC, Cmd.PREA) and steps[at - 1].command == step.command:
        with pytest.raises(Illegal):
            check(of.pim, moved)


def cycle_of(step: Step) -> int:
    return step.cycle


def test_a_late_command_is_loose() -> None:
    of = kernel(refresh=False)
    outcome, steps = traced(of, [30])
    late = [*steps[:-1], replace(steps[-1], cycle=steps[-1].cycle + 1)]
    check(of.pim, late)
    with pytest.raises(Loose, match="nothing held it back"):
        reasons(of.pim, outcome.program, late)


def test_refreshes_are_neither_early_nor_ten_intervals_late() -> None:
    pim = pim_of()
    refreshes = [Step(12480 * (i + 1), Cmd.REF, 0, 0, 0) for i in range(3)]
    check(pim, refreshes)
    with pytest.raises(Illegal, match="no refresh is due before 12480"):
        check(pim, [replace(refreshes[0], cycle=12479)])
    check(pim, [Step(9 * 12480, Cmd.PREA, 0, 0, 0)])
    with pytest.raises(Illegal, match="a refresh was due at 12480"):
        check(pim, [Step(9 * 12480 + 1, Cmd.PREA, 0, 0, 0)])
    with pytest.raises(Illegal, match="tRFC"):
        check(pim, [refreshes[0], Step(12480 + 559, Cmd.PREA, 0, 0, 0)])


@pytest.mark.parametrize("keys", [{}, {"pu": "rank"}, {"relayout": "cpu"}])
def test_a_long_host_transfer_lets_the_rank_refresh(keys: dict[str, str]) -> None:
    # 2 MiB are 32,768 bursts of 4 cycles: more than ten refresh intervals.
    of = kernel(host_transfer_bytes=2**21, **keys)
    outcome, steps = traced(of, [5])
    check(of.pim, steps)
    assert outcome.refreshes >= 10

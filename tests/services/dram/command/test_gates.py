"""Every row of the timing table (`constraints`) holds its command back by its cycles and no more."""

from dataclasses import replace
from typing import Any

import pytest

from l3sim.services.dram.command import constraints, result
from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.constraints import (
    CONSTRAINTS,
    CYCLES,
    HBM_CONSTRAINTS,
    Constraint,
    slot_wait,
)
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import INNER, Cause, Phase, Program, Wait
from tests.services.dram.command.buffers import chunks, runs_of
from tests.services.dram.command.checker import Illegal, check
from tests.services.dram.command.gate import earlier, gate, reachable
from tests.services.dram.command.kernels import kernel, pim_of, run_traced, traced

#: tCK of DDR4-3200, from the data sheet; RC is made longer here, see `gate.config`.
EXPECTED = {
    "RCD": 22,
    "RAS": 52,
    "RC": 200,
    "RP": 22,
    "RRD_S": 4,
    "RRD_L": 8,
    "RTP": 12,
    "RFC": 560,
    "BL": 4,
    "CCD_L": 8,
    "MAC_TO_MAC": 8,
    "max(CCD_S, BL)": 4,
    "CL + BL + 2 - WL": 12,  # 22 + 4 + 2 - 16
    "WL + BL": 20,
    "WL + BL + WR": 44,  # 16 + 4 + 24
    "WL + BL + WTR_S": 24,  # 16 + 4 + 4
    "WL + BL + WTR_L": 32,  # 16 + 4 + 12
    "max(CL - WL, 1)": 6,  # 22 - 16
    "CL + MAC": 30,  # 22 + 8
    "8": 8,
}
PAIRS = [
    pytest.param(row, before, after, id=f"{row.level}-{before.name}-{after.name}")
    for row, before, after in reachable(pim_of())
]
ROWS = [
    pytest.param(row, delta, id=f"{row.level}-{row.before[0].name}-{row.after[0].name}{delta:+}")
    for row in CONSTRAINTS
    for delta in (-1, 1)
    if row.level != "slot" and Cmd.REF not in row.before
]
SLOTS = {(row.before[0], row.after[0]): row for row in CONSTRAINTS if row.level == "slot"}


@pytest.mark.parametrize(("row", "before", "after"), PAIRS)
def test_each_pair_keeps_its_distance(row: Constraint, before: Cmd, after: Cmd) -> None:
    assert gate(pim_of(), row.level, before, after) == EXPECTED[row.cycles]


def test_every_row_is_looked_at() -> None:
    assert {row for row, _, _ in reachable(pim_of())} | set(SLOTS.values()) == set(CONSTRAINTS)
    assert {row.cycles for row in CONSTRAINTS} == set(EXPECTED)
    assert {row.cycles for row in (*CONSTRAINTS, *HBM_CONSTRAINTS)} == set(CYCLES)


def changed(patch: pytest.MonkeyPatch, row: Constraint, delta: int) -> None:
    """Let a row say another count of cycles."""
    cycles = CYCLES[row.cycles]
    patch.setitem(CYCLES, "changed", lambda pim: cycles(pim) + delta)
    table = tuple(replace(row, cycles="changed") if one is row else one for one in CONSTRAINTS)
    patch.setattr(constraints, "CONSTRAINTS", table)
    patch.setattr(result, "_table", result._table.__wrapped__)


@pytest.mark.parametrize(("row", "delta"), ROWS)
def test_a_changed_row_is_seen(monkeypatch: pytest.MonkeyPatch, row: Constraint, delta: int) -> None:
    changed(monkeypatch, row, delta)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        assert gate(pim_of(), row.level, row.before[0], row.after[0]) == EXPECTED[row.cycles]


def activations(pim: Any) -> list[int]:
    program = Program()
    program.add(Cmd.ACT, INNER, Phase.SCORE, Cause.ROW, count=9, bank_span=9)
    _, steps = run_traced(pim, program)
    check(pim, steps)
    with pytest.raises(Illegal, match=r"tFAW|tRRD"):
        check(pim, earlier(steps))
    return [step.cycle for step in steps]


def test_four_activations_a_window() -> None:
    assert activations(pim_of()) == [0, 4, 8, 12, 34, 38, 42, 46, 68]
    assert activations(pim_of(faw_tck=35)) == [0, 4, 8, 12, 35, 39, 43, 47, 70]
    # A window that is shorter than its activations take holds nothing back: 4 steps of RRD_S, no RRD_L.
    assert activations(pim_of(faw_tck=16)) == [0, 4, 8, 12, 16, 20, 24, 28, 32]


@pytest.mark.parametrize(("phase", "due"), [(0.0, 12480), (0.25, 9360)])
def test_a_refresh_falls_due_on_the_cycle(phase: float, due: int) -> None:
    for when, taken in ((due - 1, []), (due, [due])):
        program = Program()
        program.add(Cmd.NOP, INNER, Phase.SCORE, Cause.COMPUTE, Wait(0, when, Cause.COMPUTE))
        program.add(Cmd.REF, INNER, Phase.SCORE, Cause.REFRESH)
        program.add(Cmd.ACT, INNER, Phase.SCORE, Cause.ROW)
        _, steps = run_traced(pim_of(refresh_phase=phase), program)
        assert [step.cycle for step in steps if step.command == Cmd.REF] == taken
        assert steps[-1].cycle == (due + 560 if taken else due - 1)


#: Where each row of slots holds a chunk back: its kernel.
CROWDED = {
    (Cmd.PIM_WR_SB, Cmd.PIM_MAC): {},
    # Room for 6 tokens of S: one chunk of a column, so that the next waits for its MACs.
    (Cmd.PIM_MAC, Cmd.PIM_WR_SB): {"shared_buffer_bytes": 2048 + 6 * 16},
    (Cmd.PIM_MAC, Cmd.PIM_RD_RB): {},
    # GQA-8 over 8 chips collects eight times as long as it computes.
    (Cmd.PIM_RD_RB, Cmd.PIM_MAC): {"n_hc": 8},
}


def distance(of: Kernel, pair: tuple[Cmd, Cmd]) -> int:
    """The least from the last of one to the first of the other, over the chunks of a call."""
    outcome, steps = traced(of, [500])
    runs = runs_of(outcome, steps)
    if pair == (Cmd.PIM_MAC, Cmd.PIM_RD_RB):
        return min(bursts[0].first - macs[-1].last for macs, bursts in chunks(runs, Phase.SCORE))
    if pair == (Cmd.PIM_RD_RB, Cmd.PIM_MAC):
        of_scores = chunks(runs, Phase.SCORE)
        later = of_scores[of.result_slots :]
        return min(
            macs[0].first - bursts[-1].last for (_, bursts), (macs, _) in zip(of_scores, later, strict=False)
        )
    sent = [run for run in runs if run.is_a(Cmd.PIM_WR_SB, Phase.CONTEXT)]
    macs = [run for run in runs if run.is_a(Cmd.PIM_MAC, Phase.CONTEXT)]
    if pair == (Cmd.PIM_WR_SB, Cmd.PIM_MAC):
        return min(after.first - before.last for before, after in zip(sent, macs, strict=True))
    return min(
        after.first - before.last for before, after in zip(macs, sent[of.shared_slots :], strict=False)
    )


@pytest.mark.parametrize("delta", [-1, 0, 1])
@pytest.mark.parametrize("pair", SLOTS, ids=lambda pair: f"{pair[0].name}-{pair[1].name}")
def test_each_slot_keeps_its_distance(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[Cmd, Cmd], delta: int
) -> None:
    of = kernel(8, **CROWDED[pair])
    row = SLOTS[pair]
    assert slot_wait(of.pim, *pair) == EXPECTED[row.cycles]
    if delta:
        changed(monkeypatch, row, delta)
    assert distance(of, pair) == EXPECTED[row.cycles] + delta

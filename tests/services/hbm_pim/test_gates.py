"""Every row of the table of HBM holds its command back by so much and no more: illegal at t-1, legal at t."""

from dataclasses import replace

import pytest

from l3sim.services.dram.command import constraints, result
from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.constraints import CYCLES, HBM_CONSTRAINTS, Constraint, slot_wait
from l3sim.services.dram.command.program import INNER, Cause, Phase, Program
from tests.services.dram.command.checker import Illegal, check
from tests.services.dram.command.gate import earlier, gate, reachable
from tests.services.dram.command.kernels import run_traced
from tests.services.hbm_pim.channels import pseudo_channel

#: tCK of the machine's HBM2e; RC is made longer here, see `gate.config`.
EXPECTED = {
    "RCD": 23,
    "RCDWR": 16,
    "RAS": 53,
    "RC": 200,
    "RP": 23,
    "RRD_S": 7,
    "RRD_L": 10,
    "RTP": 8,
    "RFC": 558,
    "BL": 2,
    "CCD_L": 4,
    "MAC_TO_MAC": 4,
    "max(CCD_S, BL)": 2,
    "CL + BL + 2 - WL": 19,  # 23 + 2 + 2 - 8
    "WL + BL": 10,
    "WL + BL + WR": 36,  # 8 + 2 + 26
    "WL + BL + WTR_S": 15,  # 8 + 2 + 5
    "WL + BL + WTR_L": 22,  # 8 + 2 + 12
    "max(CL - WL, 1)": 15,  # 23 - 8
    "CL + MAC": 31,  # 23 + 8
    "8": 8,
}
PAIRS = [
    pytest.param(row, before, after, id=f"{row.level}-{before.name}-{after.name}")
    for row, before, after in reachable(pseudo_channel())
]
ROWS = [
    pytest.param(row, delta, id=f"{row.level}-{row.before[0].name}-{row.after[0].name}{delta:+}")
    for row in HBM_CONSTRAINTS
    for delta in (-1, 1)
    if row.level != "slot" and Cmd.REF not in row.before
]


@pytest.mark.parametrize(("row", "before", "after"), PAIRS)
def test_each_pair_keeps_its_distance(row: Constraint, before: Cmd, after: Cmd) -> None:
    assert gate(pseudo_channel(), row.level, before, after) == EXPECTED[row.cycles]


def test_every_row_is_looked_at() -> None:
    slots = {row for row in HBM_CONSTRAINTS if row.level == "slot"}
    assert {row for row, _, _ in reachable(pseudo_channel())} | slots == set(HBM_CONSTRAINTS)
    assert {row.cycles for row in HBM_CONSTRAINTS} == set(EXPECTED)
    for row in slots:  # that the program waits for so long is shown in the DIMM's tests
        for before in row.before:
            for after in row.after:
                assert slot_wait(pseudo_channel(), before, after) == EXPECTED[row.cycles]


@pytest.mark.parametrize(("row", "delta"), ROWS)
def test_a_changed_row_is_seen(monkeypatch: pytest.MonkeyPatch, row: Constraint, delta: int) -> None:
    cycles = CYCLES[row.cycles]
    monkeypatch.setitem(CYCLES, "changed", lambda pim: cycles(pim) + delta)
    table = tuple(replace(row, cycles="changed") if one is row else one for one in HBM_CONSTRAINTS)
    monkeypatch.setattr(constraints, "HBM_CONSTRAINTS", table)
    monkeypatch.setattr(result, "_table", result._table.__wrapped__)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        assert gate(pseudo_channel(), row.level, row.before[0], row.after[0]) == EXPECTED[row.cycles]


def test_four_activations_a_window() -> None:
    program = Program()
    program.add(Cmd.ACT, INNER, Phase.SCORE, Cause.ROW, count=9, bank_span=9)
    for faw, cycles in (
        # By default the window is not shorter than four steps of RRD_S.
        (26, [0, 7, 14, 21, 28, 35, 42, 49, 56]),
        (40, [0, 7, 14, 21, 40, 47, 54, 61, 80]),
    ):
        pim = pseudo_channel(faw_tck=faw)
        _, steps = run_traced(pim, program)
        assert [step.cycle for step in steps] == cycles
        check(pim, steps)
        with pytest.raises(Illegal, match=r"tFAW|tRRD"):
            check(pim, earlier(steps))

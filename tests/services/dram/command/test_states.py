"""Banks are state machines, queues are first in first out, and rows that repeat are laid down once.

This tests `engine`, `result`, `rows` and `memory_map`.
"""

import numpy as np
import pytest
from hypothesis import given, settings

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import INNER, OUTER, Cause, Field, Phase, Program, Wait
from l3sim.services.dram.command.result import attend, attention_program, execute
from tests.services.dram.command.domain import calls
from tests.services.dram.command.kernels import kernel, pim_of, run_traced

OPEN = "a bank was to be opened, or refreshed, with a row open"
CLOSED = "a column was to be read or written with no row open"
STUCK = "its queues wait for each other"
#: A refresh is due from the first cycle on.
DUE = {"refi_tck": 1000, "refresh_phase": 0.9999}


def program(*orders: tuple[Cmd, int]) -> Program:
    made = Program()
    for command, bank in orders:
        made.add(command, INNER, Phase.SCORE, Cause.COMPUTE, bank=bank)
    return made


@pytest.mark.parametrize(
    ("orders", "after", "text"),
    [
        ([(Cmd.ACT, 3), (Cmd.ACT, 3)], 1, OPEN),
        ([(Cmd.ACT, 3), (Cmd.ACTA, 0)], 1, OPEN),
        ([(Cmd.ACTA, 0), (Cmd.ACT, 15)], 1, OPEN),
        ([(Cmd.ACTA, 0), (Cmd.ACTA, 0)], 1, OPEN),
        ([(Cmd.ACTA, 0), (Cmd.PRE, 2), (Cmd.REF, 0)], 2, OPEN),
        ([(Cmd.RD, 0)], 0, CLOSED),
        ([(Cmd.ACT, 1), (Cmd.WR, 2)], 1, CLOSED),
        ([(Cmd.ACT, 1), (Cmd.PRE, 1), (Cmd.PIM_LD_SB, 1)], 2, CLOSED),
        ([(Cmd.ACTA, 0), (Cmd.PRE, 9), (Cmd.PIM_MAC, 0)], 2, CLOSED),
        ([(Cmd.ACTA, 0), (Cmd.PREA, 0), (Cmd.PIM_MAC, 0)], 2, CLOSED),
    ],
)
def test_a_wrong_program_is_refused(orders: list[tuple[Cmd, int]], after: int, text: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^the program is wrong after {after}( commands|.*): {text}$"
    ) as told:
        execute(pim_of(**DUE), program(*orders))
    assert "commands" in str(told.value)


def test_a_refresh_that_is_not_due_finds_no_fault() -> None:
    outcome = execute(pim_of(), program((Cmd.ACTA, 0), (Cmd.REF, 0), (Cmd.PREA, 0)))
    assert outcome.command(Cmd.REF) == 0


def test_every_bank_may_be_opened_anew_after_it_was_closed() -> None:
    orders = [(Cmd.ACT, 3), (Cmd.PRE, 3), (Cmd.ACT, 3), (Cmd.PREA, 0), (Cmd.ACTA, 0), (Cmd.PIM_MAC, 0)]
    outcome, steps = run_traced(pim_of(), program(*orders))
    # RAS + RP = RC each time; then RCD.
    assert [step.cycle for step in steps] == [0, 52, 74, 126, 148, 170]
    # A row is open for RAS twice, and to the end; what never closes is not counted.
    assert outcome.values[-2] == 104


def test_queues_that_wait_for_each_other_are_stuck() -> None:
    made = Program()
    later = made.event()
    mine = made.add(
        Cmd.PIM_WR_R, INNER, Phase.SCORE, Cause.COMPUTE, Wait(later, 0, Cause.COMPUTE), signal=True
    )
    made.add(Cmd.PIM_WR_R, OUTER, Phase.SCORE, Cause.COMPUTE, Wait(mine, 0, Cause.COMPUTE))
    with pytest.raises(ValueError, match=rf"^the program is wrong after 0 commands: {STUCK}$"):
        execute(pim_of(), made)


def test_a_run_has_two_waits_at_most() -> None:
    with pytest.raises(ValueError, match=r"^a run has at most two waits, got 3$"):
        Program().add(Cmd.NOP, INNER, Phase.SCORE, Cause.ROW, *[Wait(0, 1, Cause.ROW)] * 3)


@pytest.mark.parametrize("tokens", [[], [0], [5, -1]])
def test_a_call_without_tokens_is_refused(tokens: list[int]) -> None:
    with pytest.raises(ValueError, match="every head group attends at least 1 token, got"):
        attention_program(kernel(), tokens)


def spelled_out(patch: pytest.MonkeyPatch) -> None:
    """No stretch is ever repeated."""
    patch.setattr(Program, "repeat", lambda *_: 0)


@settings(max_examples=30)
@given(call=calls(odd=False))
def test_repeating_a_stretch_is_writing_it_out(call: tuple[Kernel, list[int]]) -> None:
    of, tokens = call
    tokens = [4 * count for count in tokens]
    repeated = attend(of, tokens, traced=10**5)
    with pytest.MonkeyPatch.context() as patch:
        spelled_out(patch)
        written = attend(of, tokens, traced=10**5)
    assert repeated.rows == written.rows
    assert np.array_equal(repeated.program, written.program)
    assert np.array_equal(repeated.trace, written.trace)
    assert np.array_equal(repeated.values, written.values)


def test_long_contexts_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    repeat = Program.repeat

    def watched(self: Program, first: tuple[int, int], second: tuple[int, int], times: int) -> int:
        calls.append((times, repeat(self, first, second, times)))
        return calls[-1][1]

    monkeypatch.setattr(Program, "repeat", watched)
    # 512 tokens a row block: of 20 the first few are written, and the others follow, for K and for V.
    attention_program(kernel(), [20 * 512])
    done = [times for times, shift in calls if shift]
    assert len(done) == 2
    assert all(times >= 9 for times in done)


def test_stretches_that_differ_are_not_repeated() -> None:
    made = Program()
    marks = []
    for count in (3, 4):
        marks.append(made.mark)
        made.add(Cmd.PIM_WR_SB, OUTER, Phase.SCORE, Cause.QUERY, count=count, signal=True)
    assert made.repeat(marks[0], marks[1], 5) == 0
    assert made.array()[:, Field.COUNT].tolist() == [3, 4]
    marks = []
    for row in (7, 9):
        marks.append(made.mark)
        made.add(Cmd.PIM_WR_SB, OUTER, Phase.SCORE, Cause.QUERY, row=row, signal=True)
    assert made.repeat(marks[0], marks[1], 2) == 1
    assert made.array()[:, Field.ROW].tolist()[2:] == [7, 9, 11, 13]
    assert made.events == 1 + 6

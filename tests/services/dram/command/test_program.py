"""Programs: events by number, two waits at most, and stretches that repeat."""

import pytest

from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.program import INNER, NO_EVENT, Cause, Field, Phase, Program, Wait


def test_runs_and_events() -> None:
    program = Program()
    done = program.add(
        Command.ACT, INNER, Phase.SCORE, Cause.ROW, Wait(0, 5, Cause.QUERY), row=3, signal=True
    )
    assert done == 1
    assert program.add(Command.PRE, INNER, Phase.SCORE, Cause.ROW, Wait(done, 2, Cause.ROW)) == NO_EVENT
    runs = program.array()
    assert runs.shape == (2, len(Field))
    assert runs[:, Field.COMMAND].tolist() == [Command.ACT, Command.PRE]
    assert runs[:, Field.WAIT_A].tolist() == [0, 1]
    assert runs[:, Field.WAIT_B].tolist() == [NO_EVENT, NO_EVENT]
    assert runs[0, [Field.ROW, Field.DELAY_A, Field.CAUSE_A, Field.SIGNAL]].tolist() == [3, 5, Cause.QUERY, 1]
    assert program.events == 2


def test_three_waits_are_refused() -> None:
    with pytest.raises(ValueError, match="a run has at most two waits, got 3"):
        Program().add(Command.NOP, INNER, Phase.SCORE, Cause.ROW, *(Wait(0, 0, Cause.ROW),) * 3)


def laid(times: int, columns: tuple[int, ...] = (0, 0)) -> tuple[Program, list[tuple[int, int]], int]:
    """Stretches of a row each, one after the other; (program, their marks, event of the last)."""
    program, marks, event = Program(), [], 0
    for row in range(times):
        marks.append(program.mark)
        column = columns[row % len(columns)]
        waits = Wait(event, 1, Cause.ROW)
        event = program.add(
            Command.RD, INNER, Phase.HOST, Cause.HOST, waits, row=row, column=column, signal=True
        )
    return program, marks, event


def test_a_repeated_stretch_is_what_would_have_been_laid_down() -> None:
    program, marks, _ = laid(3)
    assert program.repeat(marks[1], marks[2], times=4) == 1
    whole = laid(7)[0]
    assert (program.array() == whole.array()).all()
    assert program.events == whole.events
    assert program.mark == (0, program.events)


def test_stretches_that_differ_are_not_repeated() -> None:
    program, marks, _ = laid(2, columns=(0, 4))
    assert program.repeat(marks[0], marks[1], times=4) == 0
    assert len(program.array()) == 2

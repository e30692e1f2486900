"""What a rank allows and refuses, command by command, as the compiled loops have it."""

import numpy as np
import pytest

from l3sim.services.dram.command import memory_map as at
from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.result import _at_first, _table
from l3sim.services.dram.command.rules import allowed, settled, take
from tests.services.dram.command.kernels import pim_of

PIM = pim_of()
TABLE = _table(PIM)


def after(*commands: tuple[int, int, int]) -> at.Rank:
    """A rank after (command, bank, cycle)."""
    rank = _at_first(PIM)
    for command, bank, cycle in commands:
        assert take(command, bank, cycle, TABLE.groups, rank) == at.DONE
    return rank


def test_a_row_is_read_once_it_is_open() -> None:
    rank = after((at.ACT, 3, 100))
    assert allowed(at.RD, 3, TABLE, rank) == (100 + PIM.rcd_tck, at.ACT)
    assert allowed(at.PRE, 3, TABLE, rank) == (100 + PIM.ras_tck, at.ACT)
    assert rank.is_open.tolist() == [bank == 3 for bank in range(PIM.banks_per_chip)]


def test_a_fifth_activation_waits_for_the_window() -> None:
    rank = after(*((at.ACT, bank, 1000 + bank) for bank in range(4)))
    assert rank.window.tolist() == [1000, 1001, 1002, 1003]
    assert allowed(at.ACT, 9, TABLE, rank) == (1000 + PIM.faw_tck, at.ACT)


@pytest.mark.parametrize(
    ("before", "command", "refused"),
    [
        ([], at.RD, at.ROW_CLOSED),
        ([], at.MAC, at.ROW_CLOSED),
        ([(at.ACT, 0, 0)], at.MAC, at.ROW_CLOSED),
        ([(at.ACT, 0, 0)], at.ACT, at.ROW_OPEN),
        ([(at.ACT, 0, 0)], at.REF, at.ROW_OPEN),
        ([(at.ACTA, 0, 0)], at.ACTA, at.ROW_OPEN),
    ],
)
def test_banks_in_the_wrong_state_refuse(
    before: list[tuple[int, int, int]], command: int, refused: int
) -> None:
    assert take(command, 0, 500, TABLE.groups, after(*before)) == refused


def test_open_time_is_counted_from_the_first_row_to_the_last() -> None:
    rank = after((at.ACT, 0, 100), (at.ACT, 1, 110), (at.PRE, 0, 200), (at.PREA, 0, 250))
    assert rank.state[at.OPEN_TIME] == 150
    assert rank.state[at.OPEN] == 0
    assert not rank.is_open.any()


def test_even_steps_need_every_group_in_turn_and_nothing_before() -> None:
    rank = after((at.ACTA, 0, 0))
    clear = 10_000
    assert settled(at.MAC, 1, clear, TABLE, rank.last) == TABLE.steps[Command.PIM_MAC, 0] > 0
    assert settled(at.MAC, 1, 1, TABLE, rank.last) == 0  # the activation still holds it back
    assert settled(at.RD_RB, TABLE.groups + 1, clear, TABLE, rank.last) == 0
    assert np.all(TABLE.steps[[Command.ACT, Command.REF]] == 0)

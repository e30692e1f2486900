"""The steady part of a run, by hand."""

import numpy as np

from l3sim.orchestrator.engine.steady import History, Part


def history(
    *windows: tuple[int, list[int], int, int, bool], between: tuple[int, int] | None = None
) -> History:
    """(join before, joins, batch, tokens of a round, whether anything waits) of each window."""
    made = History(between)
    for before, joins, batch, tokens, waits in windows:
        made.add(before, np.array(joins, dtype=np.int64), batch, tokens, waits)
    return made


RAMP = (0, [10], 2, 3, True)
FULL = (10, [20, 30], 8, 8, True)
DIP = (30, [40], 7, 8, True)
TAIL = (40, [50, 60], 6, 6, False)


def test_from_the_first_full_batch_to_the_last_window_with_a_queue() -> None:
    assert history(RAMP, FULL, DIP, TAIL).steady() == Part(10, 40, 24)


def test_there_is_none_where_nothing_waits_or_the_queue_ends_first() -> None:
    assert history().steady() is None
    assert history((0, [10], 5, 5, False)).steady() is None
    assert history(RAMP, (10, [20], 8, 8, False)).steady() is None


def test_windows_cut_otherwise_give_the_same() -> None:
    cut = [(10, [20], 8, 8, True), (20, [30], 8, 8, True)]
    assert history(RAMP, *cut, DIP, TAIL).steady() == history(RAMP, FULL, DIP, TAIL).steady()


def test_between_two_instants_only_whole_rounds_count() -> None:
    whole = history(RAMP, FULL, DIP, TAIL, between=(5, 45)).steady()
    assert whole == Part(10, 40, 24)
    assert history(RAMP, FULL, DIP, TAIL, between=(11, 49)).steady() == Part(20, 40, 16)
    assert history(RAMP, FULL, between=(21, 29)).steady() is None

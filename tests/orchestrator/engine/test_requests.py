"""The table of requests: as given, and what a waiting request books."""

import numpy as np
import pytest

from l3sim.orchestrator.engine.requests import NEVER, Phase, RequestTable
from l3sim.specs.lengths import MAX_TOKENS
from l3sim.specs.requests import Requests
from tests.orchestrator.engine.kv.test_ledger import table_of
from tests.orchestrator.small_jobs import numbers


def test_a_new_table_has_done_nothing() -> None:
    table = table_of([10, 20], [3, 4])
    assert len(table) == 2
    assert (table.phase == Phase.FUTURE).all()
    assert table.target.tolist() == [10, 20]
    for column in (table.held, table.emitted, table.preemptions, table.recomputed, table.priority):
        assert not column.any()
    for column in (table.admission, table.planned, table.first_round_ps, table.first_stamp_ps):
        assert (column == NEVER).all()
    assert (table.limit == MAX_TOKENS).all()


def test_arrivals_are_its_own_and_lengths_are_those_given() -> None:
    given = Requests(numbers([5]), numbers([6]), numbers([7]), numbers([1]))
    table = RequestTable(given)
    table.arrival_ps[0] = 99
    assert given.arrival_ps[0] == 7
    assert table.prompt is given.prompt


@pytest.mark.parametrize(("known", "booked", "remaining"), [(False, 13, None), (True, 14, [3])])
def test_what_is_booked_and_known_of_the_future(
    known: bool, booked: int, remaining: list[int] | None
) -> None:
    """Prompt 10, output 5, preempted after two tokens: 12 to prefill and one more, or all it will hold."""
    table = table_of([10], [5], lengths_known=known)
    table.emitted[0], table.target[0] = 2, 12
    assert table.booking(0) == booked
    left = table.remaining(numbers([0]))
    assert (left if left is None else left.tolist()) == remaining


def test_what_is_held_is_shown_and_not_written() -> None:
    table = table_of([10], [5])
    table.kv_tokens[0] = 4
    assert table.held[0] == 4
    assert not table.held.flags.writeable
    copied = table.held[table.rows([0])]
    copied[0] = 9
    assert table.held[0] == 4
    assert table.rows([0]).dtype == np.int64

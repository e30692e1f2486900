"""What answers so far let expect: Kaplan and Meier's estimate, by hand."""

import numpy as np
import pytest

from l3sim.orchestrator.engine.lengths import FEW, OutputLengths, survival_of
from tests.orchestrator.small_jobs import numbers


def test_where_all_have_ended_it_is_the_share_of_longer_ones() -> None:
    survival = survival_of(numbers([2, 4, 4, 10]), numbers([]))
    assert survival.longer(numbers([0, 1, 2, 4, 9, 10])).tolist() == [1, 1, 0.75, 0.25, 0.25, 0]
    # The mean; of those beyond 4, one of 10 is left.
    assert survival.left(numbers([0, 4])).tolist() == [5, 6]
    assert survival.left(numbers([7])).tolist() == [3]


def test_those_that_go_on_count_while_they_are_seen() -> None:
    """At 2 five are at risk, at 4 four of which two end, at 10 one."""
    survival = survival_of(numbers([2, 4, 4, 10]), numbers([6]))
    assert survival.longer(numbers([2, 5, 10])) == pytest.approx([0.8, 0.4, 0.0])


def test_beyond_the_longest_the_tail_goes_on() -> None:
    """One of two has ended, in 30 tokens on the whole: a thirtieth ends a token."""
    survival = survival_of(numbers([10]), numbers([20]))
    assert survival.longer(numbers([10, 40])) == pytest.approx([0.5, 0.5 * np.exp(-1)])
    assert survival.left(numbers([25])) == pytest.approx([30])


def test_an_answer_longer_than_any_that_has_ended_stays_for_a_while() -> None:
    """Two of 10 have ended, a tenth of whose tokens ends an answer; one is at 30 by now."""
    survival = survival_of(numbers([10, 10]), numbers([]))
    assert survival.stays(numbers([0, 30]), numbers([0, 5])) == pytest.approx(
        np.array([[1, 1], [1, np.exp(-0.5)]])
    )


def test_few_teach_nothing_and_more_are_asked_again() -> None:
    lengths = OutputLengths()
    for _ in range(FEW - 1):
        lengths.add(8)
    assert lengths.survival(numbers([])) is None
    for _ in range(33):
        lengths.add(8)
    first = lengths.survival(numbers([]))  # of forty
    assert first is not None
    assert first.longer(numbers([7, 8])).tolist() == [1, 0]
    lengths.add(100)  # one more is less than a twentieth
    assert lengths.survival(numbers([])) is first
    lengths.add(100)
    assert lengths.survival(numbers([])) is not first
    assert len(lengths) == FEW + 34

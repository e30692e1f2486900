"""KV that is expected later, by hand."""

import numpy as np

from l3sim.orchestrator.engine.lengths import UNSEEN, survival_of
from l3sim.orchestrator.engine.policies.forecast import AHEAD, Forecast
from tests.orchestrator.small_jobs import numbers


def test_answers_of_which_nothing_is_known_have_so_many_tokens() -> None:
    forecast = Forecast(None, most=10**9)
    expected = forecast.of(numbers([100]), numbers([0]))
    assert expected.tolist() == np.where(AHEAD <= UNSEEN, 100 + AHEAD, 0).tolist()
    assert forecast.left(numbers([0, 48])).tolist() == [UNSEEN, UNSEEN - 48]


def test_on_a_small_machine_fewer_so_that_some_can_share_it() -> None:
    assert Forecast(None, most=64 * 32).left(numbers([0])).tolist() == [64]


def test_what_is_known_bounds_what_is_held() -> None:
    """Half of the answers have 64 tokens, half 256: of two that begin, one is left after 64 rounds."""
    forecast = Forecast(survival_of(numbers([64, 256]), numbers([])), most=10**9)
    expected = forecast.of(numbers([10, 10]), numbers([0, 0]))
    assert expected[:4].tolist() == [20, 10 + 64, 10 + 128, 0]
    # One that has made 100 is one of the long ones for certain.
    assert forecast.of(numbers([110]), numbers([100]))[:3].tolist() == [110, 174, 238]


def test_the_peak_must_fit() -> None:
    forecast = Forecast(survival_of(numbers([64, 256]), numbers([])), most=300)
    forecast.tokens += forecast.of(numbers([10, 10]), numbers([0, 0]))  # 138 at most
    one = forecast.of(numbers([10]), numbers([0]))  # 69 after 128 rounds
    assert forecast.fits(one)
    assert not forecast.fits(3 * one)

"""KV that is expected later, by hand."""

import numpy as np

from l3sim.orchestrator.engine.lengths import UNSEEN, survival_of
from l3sim.orchestrator.engine.policies.forecast import AHEAD, Forecast
from tests.orchestrator.small_jobs import numbers


def test_answers_of_which_nothing_is_known_have_so_many_tokens() -> None:
    forecast = Forecast(None, most=10**9)
    mean, variance = forecast.of(numbers([100]), numbers([0]))
    assert mean.tolist() == np.where(AHEAD <= UNSEEN, 100 + AHEAD, 0).tolist()
    assert not variance.any()
    assert forecast.left(numbers([0, 48])).tolist() == [UNSEEN, UNSEEN - 48]


def test_on_a_small_machine_fewer_so_that_some_can_share_it() -> None:
    assert Forecast(None, most=64 * 32).left(numbers([0])).tolist() == [64]


def test_what_is_known_bounds_what_is_held() -> None:
    """Half of the answers have 64 tokens, half 256: of two that begin, one is left after 64 rounds."""
    forecast = Forecast(survival_of(numbers([64, 256]), numbers([])), most=10**9)
    mean, variance = forecast.of(numbers([10, 10]), numbers([0, 0]))
    assert mean[:4].tolist() == [20, 10 + 64, 10 + 128, 0]
    assert variance[:4].tolist() == [0, 2 * 74**2 / 4, 2 * 138**2 / 4, 0]
    # One that has made 100 is one of the long ones for certain.
    assert forecast.of(numbers([110]), numbers([100]))[:, :3].tolist() == [[110, 174, 238], [0, 0, 0]]


def test_the_peak_must_fit_with_two_standard_deviations() -> None:
    """Two: 138 after 128 rounds, give or take 98; three: 207 and 120."""
    survival = survival_of(numbers([64, 256]), numbers([]))
    for most, fits in ((207 + 240, True), (207 + 239, False)):
        forecast = Forecast(survival, most)
        forecast.tokens += forecast.of(numbers([10, 10]), numbers([0, 0]))
        assert forecast.peak(forecast.tokens) == 138 + 2 * np.sqrt(2 * 138**2 / 4)
        assert forecast.fits(forecast.of(numbers([10]), numbers([0]))) is fits

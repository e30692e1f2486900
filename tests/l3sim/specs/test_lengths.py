"""Lengths drawn from moments: bounded ones keep them, by an independent integral and by the draw itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from l3sim.errors import InvalidInput
from l3sim.specs.lengths import PUBLISHED, cut_parameters, log_normal
from l3sim.specs.workload import draw


def cut_moments(mu: float, sigma: float, limit: float) -> tuple[float, float]:
    """Mean and standard deviation of min(X, limit), integrated over the normal variable behind X."""

    def moment(power: int) -> float:
        edge = (math.log(limit) - mu) / sigma
        below, _ = integrate.quad(
            lambda z: math.exp(power * (mu + sigma * z)) * stats.norm.pdf(z),
            min(edge, 0) - 40,
            edge,
            limit=400,
        )
        return float(below + limit**power * stats.norm.sf(edge))

    mean = moment(1)
    return mean, math.sqrt(moment(2) - mean**2)


@given(st.floats(10, 1e5), st.floats(0.1, 2.0), st.floats(1.05, 50.0))
def test_the_cut_lengths_have_the_moments(mean: float, spread: float, room: float) -> None:
    std = mean * spread
    limit = room * (mean + std**2 / mean)
    mu, sigma = cut_parameters(mean, std, limit)
    if sigma < 5:  # beyond, the integrand is too narrow for the plain integral
        assert cut_moments(mu, sigma, limit) == pytest.approx((mean, std), rel=1e-5)


def test_a_far_bound_changes_next_to_nothing() -> None:
    moments = PUBLISHED["openr1"]
    mu, sigma = cut_parameters(moments.output_mean, moments.output_std, 1e9)
    variance = math.log1p((moments.output_std / moments.output_mean) ** 2)
    assert (mu, sigma) == pytest.approx((math.log(moments.output_mean) - variance / 2, math.sqrt(variance)))


@pytest.mark.parametrize(
    ("name", "bound"), [("openr1", 20_480), ("dolphin", 32_768), ("dolphin-short", 1500)]
)
def test_drawn_outputs_keep_bound_and_moments(name: str, bound: int) -> None:
    moments = PUBLISHED[name]
    prompt, output = log_normal(moments, 50_000, seed=3, bound=bound)
    assert output.max() <= bound
    assert output.min() >= 1
    assert output.mean() * moments.divisor == pytest.approx(moments.output_mean, rel=0.02)
    assert output.std() * moments.divisor == pytest.approx(moments.output_std, rel=0.02)
    assert (prompt == log_normal(moments, 50_000, seed=3)[0]).all()


def test_a_bound_that_no_distribution_meets_is_refused_with_one_that_does() -> None:
    moments = PUBLISHED["openr1"]
    with pytest.raises(InvalidInput, match=r"no lengths up to 18000 have a mean of 12684\.1") as refused:
        log_normal(moments, 10, seed=0, bound=18_000)
    bound = int(str(refused.value).split("use a bound of ")[1].split()[0])
    assert np.isfinite(log_normal(moments, 10, seed=0, bound=bound)[1]).all()
    with pytest.raises(InvalidInput, match="use a bound of"):
        log_normal(moments, 10, seed=0, bound=bound - 1)


def test_ranges_are_drawn_evenly_by_the_seed() -> None:
    drawn = draw("fixed:128..131:64..4096", 4000, seed=9)
    assert sorted(set(drawn.prompt.tolist())) == [128, 129, 130, 131]
    assert np.bincount(drawn.prompt)[128:].min() > 900
    assert (drawn.output.min() >= 64, drawn.output.max() <= 4096) == (True, True)
    assert drawn.output.mean() == pytest.approx(2080, rel=0.02)
    assert (draw("fixed:128..131:64..4096", 4000, seed=9).output == drawn.output).all()
    assert (draw("fixed:128..131:64..4096", 4000, seed=8).output != drawn.output).any()


def test_fixed() -> None:
    drawn = draw("fixed:128:7", 3, seed=9)
    assert drawn.prompt.tolist() == [128] * 3
    assert drawn.output.tolist() == [7] * 3


FORM = (
    "must be fixed:IN:OUT with whole numbers of tokens from 1 to 100000000, or ranges of them like 64..4096"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fixed:5:1..2..3", FORM),
        ("fixed:5:..3", FORM),
        ("fixed:5:9..3", "a range must begin with its smaller end"),
        ("openr1:max=many", "max must be a whole number of tokens from 1 to 100000000"),
        ("openr1:max=0", "max must be a whole number of tokens from 1 to 100000000"),
        ("openr1:max=12000", "use a bound of 18700 or more"),
    ],
)
def test_other_forms_are_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        draw(name, 1, 0)
    assert text in str(refused.value)

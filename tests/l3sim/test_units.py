"""Where floats become integers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.units import MAX_COST_PS, PS_PER_US, joules, nj, ps, ps_of, seconds
from tests.orchestrator.small_jobs import numbers


@pytest.mark.parametrize(
    ("cost_s", "expected"),
    [
        (0.0, 1),
        (1e-15, 1),
        (1.4e-12, 1),
        (1.5e-12, 2),
        (2.5e-12, 3),
        (625e-12, 625),
        (1.0, 10**12),
        (1e6, 10**18),
    ],
)
def test_ps_rounds_half_up_and_is_at_least_one(cost_s: float, expected: int) -> None:
    assert ps(cost_s) == expected
    assert ps(np.array([[cost_s], [cost_s]])).tolist() == [[expected], [expected]]


@pytest.mark.parametrize(
    ("amount", "unit_ps", "expected"),
    [
        (0.0, 10**12, 0),
        (1.4e-12, 10**12, 1),
        (2.5e-12, 10**12, 3),
        (0.0000015, PS_PER_US, 2),
        (0.00000249, PS_PER_US, 2),
        (7.0, PS_PER_US, 7_000_000),
    ],
)
def test_times_as_written_round_half_up_and_may_be_zero(amount: float, unit_ps: int, expected: int) -> None:
    assert ps_of(amount, unit_ps) == expected
    assert ps_of(np.array([amount]), unit_ps).tolist() == [expected]


def test_ps_gives_plain_integers_and_int64() -> None:
    assert type(ps(1e-9)) is int
    assert ps(np.array([1e-9])).dtype == np.int64


@pytest.mark.parametrize("cost_s", [-1e-12, float("nan"), float("inf"), MAX_COST_PS / 10**12 * 1.01])
def test_ps_refuses_what_is_no_cost(cost_s: float) -> None:
    with pytest.raises(ValueError, match="a cost must be finite, at least 0 and at most"):
        ps(cost_s)
    with pytest.raises(ValueError, match="a cost must be finite"):
        ps(np.array([1.0, cost_s]))


@settings(max_examples=200, derandomize=True)
@given(st.integers(0, 10**6 * 1000), st.integers(0, 10**18 // 10**6))
def test_nj_is_exact_and_rounds_half_up(milliwatts: int, duration_ps: int) -> None:
    # mW * ps = 1e-6 nJ.
    expected = (Fraction(milliwatts * duration_ps, 10**6) + Fraction(1, 2)).__floor__()
    assert nj(milliwatts / 1000, numbers([duration_ps])).tolist() == [expected]


def test_nj_does_not_overflow_where_products_would() -> None:
    # 1 kW for 100 days is 8.64 GJ.
    assert nj(1000.0, numbers([8_640_000 * 10**12])).tolist() == [8_640_000_000 * 10**9]


def test_for_people() -> None:
    assert seconds(1_500_000_000_001) == 1.500000000001
    assert joules(2_500_000_001) == 2.500000001
    # Correctly rounded, unlike a product with 1e-12.
    assert seconds(3) == 3e-12
    assert seconds(int(np.int64(10**18) + 1)) == (10**18 + 1) / 10**12

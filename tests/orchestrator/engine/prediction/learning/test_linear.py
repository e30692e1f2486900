"""Least squares against numpy's, and what has no answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.prediction.learning.linear import fit

VALUES = st.lists(st.floats(1, 1000), min_size=3, max_size=20)


@settings(max_examples=60, derandomize=True)
@given(VALUES, st.integers(0, 1000), st.floats(0.1, 50), st.floats(0.1, 50))
def test_fits_as_numpy_does(first: list[float], seed: int, a: float, b: float) -> None:
    stream = np.random.default_rng(seed)
    columns = np.stack([np.array(first), stream.random(len(first)) * 100 + 1], axis=1)
    values = columns @ [a, b] + stream.random(len(first))
    expected, *_ = np.linalg.lstsq(columns, values, rcond=None)
    found = fit(columns[:, 0].copy(), columns[:, 1].copy(), values)
    if min(expected) >= 0 and np.linalg.cond(columns) < 1e3:
        assert found == pytest.approx(tuple(expected), rel=1e-6)
    assert min(found) >= 0


def test_a_negative_coefficient_is_zero_and_the_other_is_fitted_alone() -> None:
    first, second = np.array([1.0, 2.0, 3.0]), np.ones(3)
    assert fit(first, second, np.array([3.0, 2.0, 1.0])) == (0.0, 2.0)
    a, b = fit(first, second, np.array([0.0, 2.0, 4.0]))
    assert b == 0.0
    assert a == pytest.approx(16 / 14)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_columns_in_proportion_have_no_answer(count: int) -> None:
    ones = np.ones(count)
    assert np.isnan(fit(ones, 3 * ones, ones)).all()

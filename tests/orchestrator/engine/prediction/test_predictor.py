"""Piecewise linear tables, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.prediction.predictor import Tables, line_at, plane_at, table_at
from l3sim.work import Chunk
from tests.orchestrator.small_jobs import numbers

GRID = [1.0, 8.0, 32.0]


def slow(grid: list[float], values: list[float], at: float) -> float:
    """The first value below the grid; the segment that holds the point; the last one goes on."""
    if at <= grid[0]:
        return values[0]
    for low in range(len(grid) - 1):
        if at <= grid[low + 1] or low == len(grid) - 2:
            slope = (values[low + 1] - values[low]) / (grid[low + 1] - grid[low])
            return values[low] + slope * (at - grid[low])
    return values[0]


VALUES = st.lists(st.floats(-100, 100), min_size=3, max_size=3)


@settings(max_examples=60, derandomize=True)
@given(VALUES, st.integers(0, 90))
def test_a_line(values: list[float], at: int) -> None:
    expected = pytest.approx(slow(GRID, values, at), abs=1e-9)
    assert table_at(np.array(GRID), np.array(values), float(at)) == expected
    assert line_at(np.array(GRID), np.array(values), numbers([at]))[0] == expected


def test_a_table_of_one_value_is_flat() -> None:
    assert table_at(np.array([4.0]), np.array([7.0]), 900.0) == 7.0


@settings(max_examples=40, derandomize=True)
@given(st.lists(VALUES, min_size=2, max_size=2), st.integers(0, 90), st.integers(0, 90))
def test_a_plane(values: list[list[float]], row: int, column: int) -> None:
    rows = [2.0, 50.0]
    line = [slow(rows, [values[0][c], values[1][c]], row) for c in range(3)]
    found = plane_at(np.array(rows), np.array(GRID), np.array(values), numbers([row]), numbers([column]))
    assert found[0] == pytest.approx(slow(GRID, line, column), abs=1e-9)


def test_prefill_of_a_pass_is_the_sum_of_its_chunks() -> None:
    one = np.ones(1)
    tokens, finished = np.array([1.0, 101.0]), np.array([0.0, 100.0])
    predictor = Tables(
        one, one, tokens, finished, np.array([[0.0, 10.0], [100.0, 310.0]]), one, one, np.ones((1, 1)), one
    )
    assert predictor.pass_prefill_ps([]) == 0.0
    assert predictor.pass_prefill_ps([Chunk(0, 51, 0, False)]) == 50.0
    assert predictor.pass_prefill_ps([Chunk(0, 51, 0, False), Chunk(1, 101, 50, True)]) == 50.0 + 205.0

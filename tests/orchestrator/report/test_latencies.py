"""Distributions of times; whole reports are made by hand in test_report.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from l3sim.orchestrator.report.latencies import distribution
from tests.orchestrator.slow_report import slow_distribution
from tests.orchestrator.small_jobs import numbers

PS = 10**12
COUNTED = st.lists(st.tuples(st.integers(0, 10**15), st.integers(1, 30)), min_size=1, max_size=12)


@settings(max_examples=100, derandomize=True)
@given(COUNTED)
def test_distribution_counts_each_value_so_often(pairs: list[tuple[int, int]]) -> None:
    values, counts = numbers([value for value, _ in pairs]), numbers([count for _, count in pairs])
    each = [value for value, count in pairs for _ in range(count)]
    assert asdict(distribution(values, counts)) == slow_distribution(each)
    assert asdict(distribution(numbers(each))) == slow_distribution(each)


@pytest.mark.parametrize("count", [1, 2, 10, 99, 100, 101])
def test_percentiles_are_nearest_rank(count: int) -> None:
    found = asdict(distribution(numbers(range(1, count + 1)) * PS))
    for percent in (50, 90, 95, 99):
        # Integers only: ceil(percent * count / 100).
        assert found[f"p{percent}"] == (percent * count + 99) // 100
    assert found["max"] == count


def test_deviation_is_exact_far_beyond_floats() -> None:
    # 2 s apart, on top of 100 days: squares need 126 bits.
    long = 8_640_000 * PS
    assert distribution(numbers([long, long + 2 * PS])).std == 1.0
    assert distribution(numbers([long] * 7)).std == 0.0


def test_nothing_has_no_distribution() -> None:
    assert set(asdict(distribution(numbers([]))).values()) == {None}

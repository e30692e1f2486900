"""Curves side by side: where points come to lie, and what is left out."""

import re

import pytest

from benchmarks.panels import Panel, panels, ticks


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0, [0, 1]),
        (4.3, [0, 1, 2, 3, 4, 5]),
        (100, [0, 20, 40, 60, 80, 100]),
        (250, [0, 50, 100, 150, 200, 250]),
    ],
)
def test_ticks_are_round_and_reach_the_largest_value(most: float, expected: list[float]) -> None:
    assert ticks(most) == pytest.approx(expected)


def curve(text: str) -> list[tuple[float, float]]:
    """Points of the last line drawn."""
    points = re.findall(r'<polyline points="([^"]*)"', text)[-1].split()
    return [(float(x), float(y)) for x, y in (point.split(",") for point in points)]


def test_doublings_and_powers_of_ten_are_equally_far_apart() -> None:
    case = Panel("case", [1, 2, 4], {"one": [0.1, 1.0, 10.0]}, {"one": 1}, doubling=True, tenfold=True)
    text = panels("title", [case], ["one"], 1, "speed")
    (x1, y1), (x2, y2), (x3, y3) = curve(text)
    assert x2 - x1 == pytest.approx(x3 - x2)
    assert y1 - y2 == pytest.approx(y2 - y3)
    # A ring around the point that is marked, and one that explains it.
    assert f'<circle cx="{x2:g}" cy="{y2:g}"' in text
    assert text.count("<circle") == 2


def test_points_without_a_value_are_left_out() -> None:
    case = Panel("case", [0.1, 0.5, 1.0], {"one": [None, 5.0, 10.0]})
    points = curve(panels("title", [case], ["one"], 1, "share"))
    assert len(points) == 2
    # Linear from 0: half the value is half as high.
    (_, low), (_, high) = points
    assert low - high == pytest.approx(130 / 2)


def test_nothing_at_all_and_a_single_point_make_a_panel() -> None:
    nothing = Panel("case", [1], {"one": [None]}, doubling=True, tenfold=True)
    single = Panel("case", [1], {"one": [3.0]}, doubling=True, tenfold=True)
    assert panels("title", [nothing, single], ["one"], 2, "speed").count("case") == 2

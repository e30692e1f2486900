"""Curves side by side as SVG text: a panel a case, a line a name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log2, log10

from benchmarks.svg import COLOURS, FAINT, INK, Picture

#: Of a panel's plot, and what stands around it: left, above, below.
WIDTH, HEIGHT, LEFT, ABOVE, BELOW = 200, 130, 62, 30, 40
LEGEND = 110


@dataclass(frozen=True)
class Panel:
    """Curves over common points.

    Attributes:
        xs: ascending, above 0.
        series: values by name; None leaves a point out.
        marks: by name, the number of a point that gets a ring.
        doubling: whether the x axis counts doublings; else it is linear from 0.
        tenfold: whether the y axis counts powers of ten; else it is linear from 0.
    """

    title: str
    xs: Sequence[float]
    series: Mapping[str, Sequence[float | None]]
    marks: Mapping[str, int] = field(default_factory=dict)
    doubling: bool = False
    tenfold: bool = False


def panels(title: str, cases: Sequence[Panel], names: Sequence[str], columns: int, x_label: str) -> str:
    """All cases, so many in a row; names have the same colour in each."""
    across, down = LEFT + WIDTH + 10, ABOVE + HEIGHT + BELOW
    rows = -(-len(cases) // columns)
    picture = Picture(columns * across + LEGEND, rows * down + 50, title)
    for number, case in enumerate(cases):
        _draw(picture, case, names, number % columns * across + LEFT, number // columns * down + ABOVE + 24)
    picture.text(columns * across / 2, rows * down + 40, x_label, anchor="middle")
    picture.legend(columns * across + 14, ABOVE + 24, names)
    if any(case.marks for case in cases):
        y = ABOVE + 30 + 18 * len(names)
        picture.ring(columns * across + 20, y + 2, 6, INK)
        picture.text(columns * across + 31, y + 6, "saturated")
    return str(picture)


def ticks(most: float) -> list[float]:
    """0 and three to six round numbers; the last is at least `most`."""
    if most <= 0:
        return [0.0, 1.0]
    unit = 10.0 ** floor(log10(most))
    step = next(step for step in (unit / 5, unit / 2, unit, 2 * unit) if most / step <= 6)
    return [step * i for i in range(ceil(most / step) + 1)]


def _draw(picture: Picture, case: Panel, names: Sequence[str], left: float, top: float) -> None:
    values = [value for line in case.series.values() for value in line if value]
    if case.tenfold:
        low = floor(log10(min(values, default=0.1)))
        high = max(ceil(log10(max(values, default=1.0))), low + 1)
        marks = [10.0**power for power in range(low, high + 1)]
    else:
        marks = ticks(max(values, default=0.0))

    def y_of(value: float) -> float:
        tenfold = case.tenfold
        share = log10(value / marks[0]) / log10(marks[-1] / marks[0]) if tenfold else value / marks[-1]
        return top + HEIGHT * (1 - share)

    def x_of(x: float) -> float:
        if case.doubling:
            # A single point stands at the left.
            doublings = log2(case.xs[-1] / case.xs[0]) or 1.0
            return left + WIDTH * log2(x / case.xs[0]) / doublings
        return left + WIDTH * x / case.xs[-1]

    picture.text(left + WIDTH / 2, top - 8, case.title, anchor="middle")
    for mark in marks:
        picture.line([(left, y_of(mark)), (left + WIDTH, y_of(mark))], FAINT)
        picture.text(left - 6, y_of(mark) + 4, f"{mark:,.12g}", anchor="end", size=10)
    for x in case.xs:
        picture.text(x_of(x), top + HEIGHT + 15, f"{x:g}", anchor="middle", size=10)
    for name, line in case.series.items():
        colour = COLOURS[names.index(name)]
        # A logarithm has no place for 0.
        known = [
            (number, x_of(x), y_of(value))
            for number, (x, value) in enumerate(zip(case.xs, line, strict=True))
            if value is not None and (value > 0 or not case.tenfold)
        ]
        picture.line([(px, py) for _, px, py in known], colour, 2)
        for number, px, py in known:
            picture.rect(px - 2, py - 2, 4, 4, colour)
            if case.marks.get(name) == number:
                picture.ring(px, py, 6, colour)

"""Pictures as SVG text: what the pages' plots need, and no more. The same values, the same bytes."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log2

INK, FAINT = "#222222", "#d5d5d5"
#: Told apart also by those who see few colours (Okabe and Ito's set).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#f0e442", "#8c510a")


class Picture:
    """Collects shapes; coordinates are pixels from the upper left."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">\n'
            f'<title>{escape(title)}</title>\n<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        )
        self._shapes: list[str] = []
        self.text(width / 2, 18, title, anchor="middle", size=14)

    def rect(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """A filled rectangle."""
        size = f'width="{_n(width)}" height="{_n(height)}"'
        self._shapes.append(f'<rect x="{_n(x)}" y="{_n(y)}" {size} fill="{fill}"/>')

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> None:
        """A line through points."""
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        style = f'fill="none" stroke="{colour}" stroke-width="{_n(width)}"'
        self._shapes.append(f'<polyline points="{path}" {style}/>')

    def ring(self, x: float, y: float, radius: float, colour: str) -> None:
        """A circle around a point."""
        style = f'fill="none" stroke="{colour}" stroke-width="1.5"'
        self._shapes.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" {style}/>')

    def text(
        self, x: float, y: float, text: str, anchor: str = "start", size: int = 12, fill: str = INK
    ) -> None:
        """A line of text; `anchor` is start, middle or end."""
        look = f'text-anchor="{anchor}" font-size="{size}" fill="{fill}"'
        self._shapes.append(f'<text x="{_n(x)}" y="{_n(y)}" {look}>{escape(text)}</text>')

    def legend(self, x: float, y: float, names: Sequence[str], step: float = 18) -> None:
        """Names in the order of COLOURS, below each other."""
        for number, name in enumerate(names):
            self.rect(x, y + number * step, 11, 11, COLOURS[number])
            self.text(x + 17, y + number * step + 10, name)

    def __str__(self) -> str:
        return self._head + "\n".join(self._shapes) + "\n</svg>\n"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def lines(
    title: str, xs: Sequence[int], series: Mapping[str, Sequence[float | None]], x_label: str, most: float
) -> str:
    """Shares over powers of two, a line each; None leaves a point out.

    Args:
        most: of the y axis, where 1 is 100 %.
    """
    left, top, width, height = 60, 40, 520, 260
    picture = Picture(780, 360, title)
    for i in range(6):
        y = top + height * (1 - i / 5)
        picture.line([(left, y), (left + width, y)], FAINT)
        picture.text(left - 6, y + 4, f"{most * i / 5:.0%}", anchor="end")

    def x_of(x: int) -> float:
        return left + width * log2(x / xs[0]) / log2(xs[-1] / xs[0])

    for x in xs:
        picture.text(x_of(x), top + height + 18, f"{x:,}", anchor="middle")
    picture.text(left + width / 2, top + height + 40, x_label, anchor="middle")
    for (_, values), colour in zip(series.items(), COLOURS, strict=False):
        known = [(x, value) for x, value in zip(xs, values, strict=True) if value is not None]
        points = [(x_of(x), top + height * (1 - value / most)) for x, value in known]
        picture.line(points, colour, 2)
        for px, py in points:
            picture.rect(px - 2.5, py - 2.5, 5, 5, colour)
    picture.legend(left + width + 24, top, list(series))
    return str(picture)


def stacks(title: str, rows: Mapping[str, Sequence[float]], names: Sequence[str], x_label: str) -> str:
    """Horizontal bars made of parts; the longest fills the width."""
    left, top, width, step = 260, 40, 420, 24
    picture = Picture(820, top + step * max(len(rows), len(names)) + 50, title)
    longest = max(sum(values) for values in rows.values())
    for number, (name, values) in enumerate(rows.items()):
        y = top + number * step
        picture.text(left - 8, y + 13, name, anchor="end")
        x = float(left)
        for value, colour in zip(values, COLOURS, strict=False):
            picture.rect(x, y, width * value / longest, step - 8, colour)
            x += width * value / longest
    picture.text(left + width / 2, top + step * len(rows) + 22, x_label, anchor="middle")
    picture.legend(left + width + 24, top, names, 20)
    return str(picture)

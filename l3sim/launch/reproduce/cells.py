"""The end-to-end table: each published cell beside ours, and which hypothesis brings it near."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from l3sim.launch.reproduce.arithmetic import tokens_per_s
from l3sim.launch.reproduce.hypotheses import HYPOTHESES, Hypothesis
from l3sim.launch.reproduce.plan import AS_PUBLISHED, OURS, ratio, run_of, steady_ratio
from l3sim.launch.reproduce.published import EndToEnd
from l3sim.launch.reproduce.runs import Outcomes, Run

#: A figure within this share of the published one counts as near.
NEAR = 0.15


@dataclass(frozen=True)
class Cell:
    """One system on one row of the published table."""

    row: EndToEnd
    system: str
    published: float

    @property
    def name(self) -> str:
        """As `--only` may name a part of it."""
        return f"{self.row.workload} {self.row.model} {self.system}"


def cells_of(rows: Sequence[EndToEnd], only: Sequence[str] = ()) -> list[Cell]:
    """Every published cell, or those whose names hold all words of one of `only`."""
    cells = [Cell(row, system, value) for row in rows for system, value in row.cells.items()]
    return [cell for cell in cells if not only or any(_holds(cell.name, words) for words in only)]


def pair_of(cell: Cell, of: str, requests: int) -> tuple[Run, Run]:
    """The runs of a cell's system, and of what it is compared with."""
    row = cell.row
    both = (run_of(system, row.model, row.workload, of, requests) for system in (cell.system, row.to))
    return next(both), next(both)


def hypothesis_pair(cell: Cell, hypothesis: Hypothesis, requests: int) -> tuple[Run, Run] | None:
    """The same under a hypothesis; None where it changes nothing of the cell."""
    row = cell.row
    changed = hypothesis.filled or {cell.system, row.to} & hypothesis.changes.keys()
    if not changed or (hypothesis.models and row.model not in hypothesis.models):
        return None
    first, second = (
        hypothesis.run(system, row.model, row.workload, requests) for system in (cell.system, row.to)
    )
    return first, second


def runs_of(cells: Sequence[Cell], requests: int, hypotheses: bool = True) -> Iterator[Run]:
    """All runs of the table, those as published first."""
    for of in (AS_PUBLISHED, OURS):
        for cell in cells:
            yield from pair_of(cell, of, requests)
    for hypothesis in HYPOTHESES if hypotheses else ():
        for cell in cells:
            yield from hypothesis_pair(cell, hypothesis, requests) or ()


def simulated(cell: Cell, outcomes: Outcomes, of: str, requests: int) -> float | None:
    """Our figure of a cell; None where a run is not there, or was refused."""
    first, second = pair_of(cell, of, requests)
    return ratio(outcomes.get(first), outcomes.get(second))


def steady(cell: Cell, outcomes: Outcomes, of: str, requests: int) -> float | None:
    """The same over the steady parts alone."""
    first, second = pair_of(cell, of, requests)
    return steady_ratio(outcomes.get(first), outcomes.get(second))


def supposed(cell: Cell, hypothesis: Hypothesis, outcomes: Outcomes, requests: int) -> float | None:
    """Our figure of a cell under a hypothesis; None where it says nothing of it."""
    pair = hypothesis_pair(cell, hypothesis, requests)
    if pair is None:
        return None
    return ratio(outcomes.get(pair[0]), outcomes.get(pair[1]))


def computed(cell: Cell, requests: int) -> float:
    """The cell by arithmetic, as published."""
    row = cell.row
    first, second = (
        tokens_per_s(run_of(system, row.model, row.workload, AS_PUBLISHED, requests, filled=True))
        for system in (cell.system, row.to)
    )
    return first / second


def deviation(ours: float | None, published: float) -> float | None:
    """Of ours from the published figure, as a share of it."""
    return None if ours is None else ours / published - 1


def near(ours: float | None, published: float) -> bool:
    """Whether ours is within `NEAR`, or within the rounding of the published figure."""
    return ours is not None and (abs(ours / published - 1) <= NEAR or abs(ours - published) <= 0.005)


def _holds(name: str, words: str) -> bool:
    return all(word in name.split() for word in words.split())

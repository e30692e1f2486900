"""What a page is made of: the cells and figures that were asked for, and what their runs came to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from l3sim.launch.reproduce import cells, parts, waterfall
from l3sim.launch.reproduce.cells import Cell, cells_of
from l3sim.launch.reproduce.figures import Figure, figures_of
from l3sim.launch.reproduce.published import Published
from l3sim.launch.reproduce.runs import Outcome, Outcomes, Run, run_all


@dataclass(frozen=True)
class Study:
    """Everything that the page shows.

    Attributes:
        figures: beside the table; () where only some cells were asked for.
        requests: of each run; 0: the page's own numbers.
    """

    published: Published
    cells: Sequence[Cell]
    figures: Sequence[Figure]
    outcomes: Outcomes
    requests: int


def study(
    published: Published,
    only: Sequence[str],
    requests: int,
    folder: Path,
    jobs: int,
    done: Callable[[Run, Outcome], None],
) -> Study:
    """Run all that is asked for, or take it from the folder.

    Args:
        only: words of cells; [] for the whole page.
        jobs: processes at a time; 0: nothing runs, and what is not in the folder stays unknown.
        done: called with each run that ends.
    """
    chosen = cells_of(published.end_to_end, only)
    figures = [] if only else figures_of(published, requests)
    asked = [*cells.runs_of(chosen, requests), *waterfall.runs_of(chosen, requests)]
    asked += [run for figure in figures for run in figure.runs()]
    asked += [] if only else parts.link_runs(published)
    return Study(published, chosen, figures, run_all(asked, folder, jobs, done), requests)

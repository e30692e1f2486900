"""A waterfall begins at the published figure, changes one thing at a time and ends at our machines."""

from itertools import pairwise

from l3sim.launch.reproduce.cells import cells_of, pair_of
from l3sim.launch.reproduce.plan import AS_PUBLISHED, OURS
from l3sim.launch.reproduce.published import load_published
from l3sim.launch.reproduce.runs import Outcome
from l3sim.launch.reproduce.waterfall import STEPS, falls, heights, runs_of

CELLS = falls(cells_of(load_published().end_to_end))


def test_it_is_drawn_for_long_outputs_of_qwen() -> None:
    assert [cell.name for cell in CELLS] == ["openr1 qwen-72b l3", "dolphin qwen-72b l3"]


def test_it_passes_the_stated_assumptions_and_ends_at_ours() -> None:
    cell = CELLS[0]
    pairs = [step.pair(cell, 0) for step in STEPS]
    assert pairs[2] == pair_of(cell, AS_PUBLISHED, 0)
    assert pairs[-1] == pair_of(cell, OURS, 0)
    assert all(before != after for before, after in pairwise(pairs))


def test_heights_are_ratios_and_what_is_unknown_stays_unknown() -> None:
    cell = CELLS[0]
    runs = list(dict.fromkeys(runs_of([cell], 0)))
    found = {run: Outcome(whole_tokens_per_s=float(1 + n)) for n, run in enumerate(runs[:-1])}
    values = [value for _, value in heights(cell, found, 0)]
    assert values[0] == 2.07
    assert values[1] == 1 / 2
    assert values[-1] is None

"""Cells of the table and what a hypothesis changes of them."""

import pytest

from l3sim.launch.reproduce.cells import (
    cells_of,
    computed,
    deviation,
    hypothesis_pair,
    near,
    pair_of,
    simulated,
    steady,
    supposed,
)
from l3sim.launch.reproduce.hypotheses import HYPOTHESES
from l3sim.launch.reproduce.plan import AS_PUBLISHED
from l3sim.launch.reproduce.published import load_published
from l3sim.launch.reproduce.runs import Outcome

CELLS = cells_of(load_published().end_to_end)
QWEN = next(cell for cell in CELLS if cell.name == "openr1 qwen-72b l3")
GPT = next(cell for cell in CELLS if cell.name == "openr1 gpt-175b r-pim")
BY_NAME = {one.name.split()[0]: one for one in HYPOTHESES}


def test_words_choose_cells() -> None:
    rows = load_published().end_to_end
    assert len(CELLS) == 56
    assert [cell.name for cell in cells_of(rows, ["qwen-72b l3 openr1"])] == [QWEN.name]
    assert len(cells_of(rows, ["l3 gpt-175b", "cpu"])) == 4 + 12
    assert cells_of(rows, ["qwen"]) == []


def test_a_cell_is_its_systems_throughput_over_the_others() -> None:
    first, second = pair_of(GPT, AS_PUBLISHED, 0)
    assert (first.machine, second.machine) == ("r-pim-as-published", "gpu-only-as-published")
    found = {first: Outcome(whole_tokens_per_s=2.0, steady_tokens_per_s=4.0)}
    assert simulated(GPT, found, AS_PUBLISHED, 0) is None
    found[second] = Outcome(whole_tokens_per_s=8.0, steady_tokens_per_s=8.0)
    assert simulated(GPT, found, AS_PUBLISHED, 0) == 0.25
    assert steady(GPT, found, AS_PUBLISHED, 0) == 0.5
    assert supposed(GPT, BY_NAME["H7"], found, 0) is None


def test_a_hypothesis_changes_what_it_names_and_nothing_else() -> None:
    pair = hypothesis_pair(QWEN, BY_NAME["H1"], 0)
    assert pair is not None
    plain = pair_of(QWEN, AS_PUBLISHED, 0)
    assert pair[0] == plain[0]
    assert ("gpu.attacc_kv_reads", "query-head") in pair[1].settings
    assert hypothesis_pair(GPT, BY_NAME["H1"], 0) is None  # no grouped queries
    assert hypothesis_pair(GPT, BY_NAME["H3"], 0) is None  # not of L3
    both = hypothesis_pair(GPT, BY_NAME["H2"], 0)
    assert both is not None
    assert all(("gpu.compute_flops", "19.5e12") in run.settings for run in both)


@pytest.mark.parametrize("cell", [QWEN, GPT], ids=lambda cell: str(cell.name))
@pytest.mark.parametrize("one", HYPOTHESES, ids=lambda one: str(one.name))
def test_every_hypothesis_gives_jobs_that_resolve(cell: object, one: object) -> None:
    for run in hypothesis_pair(cell, one, 50) or ():  # type: ignore[arg-type]
        assert run.resolved().requests == 50


def test_near_is_within_a_share_or_the_rounding_of_the_figure() -> None:
    assert near(1.14, 1.0)
    assert not near(1.16, 1.0)
    assert near(0.035, 0.04)
    assert not near(0.03, 0.04)
    assert not near(None, 1.0)
    assert deviation(1.5, 1.0) == 0.5
    assert deviation(None, 1.0) is None


def test_gpt_is_explained_by_arithmetic() -> None:
    """Steady backlog, ideal balance: the notes' own range is 2.4 to 2.9 and 0.32 to 0.36."""
    l3 = next(cell for cell in CELLS if cell.name == "openr1 gpt-175b l3")
    assert computed(l3, 0) == pytest.approx(2.95, rel=0.15)
    assert computed(GPT, 0) == pytest.approx(0.39, rel=0.15)

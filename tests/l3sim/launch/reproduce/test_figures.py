"""Figures beside the table: which runs answer them, and the parts that no run answers."""

import pytest

from l3sim.launch.reproduce.figures import figures_of
from l3sim.launch.reproduce.parts import link_rows, link_runs, module_rows
from l3sim.launch.reproduce.published import load_published
from l3sim.launch.reproduce.runs import Outcome

PUBLISHED = load_published()
FIGURES = figures_of(PUBLISHED, 0)


def test_every_published_figure_is_asked_for() -> None:
    counts = {part: sum(one.part == part for one in FIGURES) for part in {one.part for one in FIGURES}}
    assert counts == {"capacity": 30, "scaling": 18, "scheduler": 24, "energy": 3, "HBM-PIM's bandwidth": 1}


def test_all_of_their_jobs_resolve() -> None:
    for figure in FIGURES:
        for run in figure.runs():
            assert run.resolved().requests == run.requests


def test_scaling_takes_ranksets_and_bytes() -> None:
    both = next(one for one in FIGURES if one.what == "gpt-175b, both x 8: throughput")
    wide, base = both.pair
    assert wide.resolved().machine.attention.kv_bytes_per_s == pytest.approx(
        8 * base.resolved().machine.attention.kv_bytes_per_s
    )
    assert (wide.concurrency, base.concurrency) == (94, 12)
    capacity = next(one for one in FIGURES if one.what == "gpt-175b, capacity x 8: throughput")
    assert capacity.pair[0].concurrency == 94


def test_a_figure_is_of_both_its_runs() -> None:
    energy = next(one for one in FIGURES if one.part == "energy")
    first, second = energy.pair
    found = {first: Outcome(joules_per_token=1.0), second: Outcome(joules_per_token=2.0)}
    assert energy.of(found, energy.pair) == 0.5
    assert energy.of({first: found[first]}, energy.pair) is None
    assert energy.of({**found, second: Outcome(refused="no")}, energy.pair) is None
    assert energy.of(found, ()) is None


def test_a_links_overhead_is_over_one_that_takes_no_time() -> None:
    runs = list(link_runs(PUBLISHED))
    gaps = {"off": 2.0, "rankset": 1.25}
    found = {run: Outcome(tbt_p50_s=gaps.get(run.resolved().machine.link.overlap)) for run in runs}
    found |= {run: Outcome(tbt_p50_s=1.0) for run in runs if any("1e15" in one for _, one in run.settings)}
    rows = list(link_rows(PUBLISHED, found))
    assert len(rows) == 8
    assert rows[0][2] == rows[0][3] == 50
    assert rows[1][2] == pytest.approx(20)


def test_modules_are_compared_with_naive_bank_level() -> None:
    rows = {what: (value, ours) for what, value, _, ours, _ in module_rows(PUBLISHED)}
    assert len(rows) == 12
    value, ours = rows["gpt-175b, 8192 tokens: rank level"]
    assert value == 5.6
    assert ours is not None
    assert ours > 1
    for name in ("re-layout unit", "pipelining"):
        faster = rows[f"gpt-175b, 8192 tokens: {name}"][1]
        assert faster is not None
        assert faster <= 1

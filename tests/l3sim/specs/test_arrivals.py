"""Arrivals and priorities as drawn."""

from dataclasses import replace

import numpy as np
import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.arrivals import arrivals_ps, draw_priorities
from l3sim.specs.workload import WorkloadSpec, requests_of
from l3sim.units import PS_PER_S
from tests.orchestrator.small_jobs import listed, numbers


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gamma_gaps_have_their_mean_and_variation(cv: float) -> None:
    gaps = np.diff(arrivals_ps(60_000, 4.0, seed=2, cv=cv)) / PS_PER_S
    assert gaps.min() >= 0
    assert gaps.mean() == pytest.approx(0.25, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


def test_bursts_are_drawn_by_the_seed() -> None:
    assert (arrivals_ps(20, 4.0, 1, 2.0) == arrivals_ps(20, 4.0, 1, 2.0)).all()
    assert (arrivals_ps(20, 4.0, 1, 2.0) != arrivals_ps(20, 4.0, 2, 2.0)).any()


def test_priorities_come_by_share() -> None:
    drawn = draw_priorities(((0, 3.0), (7, 1.0)), 40_000, seed=1)
    assert set(drawn.tolist()) == {0, 7}
    assert (drawn == 7).mean() == pytest.approx(0.25, abs=0.01)
    assert (drawn == draw_priorities(((0, 3.0), (7, 1.0)), 40_000, seed=1)).all()


def test_an_output_is_cut_to_the_lower_of_both_limits() -> None:
    spec = listed([5] * 4, [10, 3, 8, 9])
    assert spec.listed is not None
    limited = replace(spec.listed, limit=numbers([4, 100, 100, 7]))
    cut = requests_of(replace(spec, listed=limited, max_output_tokens=8), 0)
    assert cut.output.tolist() == [4, 3, 8, 7]
    assert cut.limit is not None
    assert cut.limit.tolist() == [4, 8, 8, 7]
    assert cut.cut == 2


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (WorkloadSpec("openr1", cv=2.0), "workload.cv: needs --rate"),
        (
            WorkloadSpec("openr1", rate=1.0, cv=0.0),
            "workload.cv: must be above 0 and at most 100 standard deviations a mean, got 0.0",
        ),
        (WorkloadSpec("openr1", think_s=1.0), "workload.think_s: needs --concurrency"),
        (
            WorkloadSpec("openr1", concurrency=1, think_s=-1.0),
            "workload.think_s: must be above 0 and at most 100000 seconds",
        ),
        (
            WorkloadSpec("openr1", 100, concurrency=1, think_s=2e4),
            "workload.think_s: 20000.0 s between requests",
        ),
        (
            WorkloadSpec("openr1", priorities=((10, 1.0),)),
            "workload.priorities: a priority must be 0 to 9, got 10",
        ),
        (
            WorkloadSpec("openr1", priorities=((1, 0.0),)),
            "workload.priorities: the share of 1 must be above 0",
        ),
        (
            WorkloadSpec("openr1", priorities=((1, 1.0), (1, 2.0))),
            "workload.priorities: a priority has two shares",
        ),
        (
            WorkloadSpec("openr1", max_output_tokens=0),
            "workload.max_output_tokens: must be 1 to 100000000, got 0",
        ),
    ],
)
def test_refused(spec: WorkloadSpec, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        requests_of(spec, 0)
    assert str(refused.value).startswith(text)

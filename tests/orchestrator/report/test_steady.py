"""The steady part over replicas, and what is left out of an open loop."""

from dataclasses import replace
from typing import Any

import pytest

from l3sim.errors import InvalidInput
from l3sim.orchestrator.engine.steady import Part
from l3sim.orchestrator.report.steady import steady_of
from l3sim.reports.sections import Steady
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec, requests_of
from l3sim.testing.builders import small_model
from tests.orchestrator.small_jobs import SmallJob, listed, small_machine

PS = 10**12


def test_rates_of_replicas_add_up_and_their_times_are_averaged() -> None:
    parts = [Part(1 * PS, 5 * PS, 40), Part(2 * PS, 4 * PS, 10)]
    assert steady_of(parts, 10 * PS) == Steady(40 / 4 + 10 / 2, 2.0, 4.0, (4 + 2) / 20)


@pytest.mark.parametrize("other", [None, Part(PS, PS, 0)])
def test_one_replica_without_leaves_none(other: Part | None) -> None:
    assert steady_of([Part(0, PS, 1), other], PS) == Steady(None, None, None, None)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"warmup_s": 1.0}, "workload.warmup_s: needs an open loop"),
        ({"cooldown_s": 1.0, "concurrency": 2}, "workload.cooldown_s: needs an open loop"),
        (
            {"warmup_s": 500.0, "cooldown_s": 600.0, "rate": 1.0},
            "workload.warmup_s: 1100 s in all leave nothing",
        ),
        ({"warmup_s": -1.0, "rate": 1.0}, "workload.warmup_s: must be above 0"),
    ],
)
def test_what_cannot_be_left_out_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        requests_of(WorkloadSpec("fixed:4:2", 100, **options), 0)
    assert str(refused.value).startswith(text)


def test_warm_up_and_cool_down_shorten_the_part() -> None:
    """Twenty requests, a millisecond apart; windows of any length give the same."""
    arrival = [number * 10**9 for number in range(20)]
    listing = listed([4] * 20, [6] * 20, arrival)
    spec = JobSpec(listing, model=small_model(), policy="fill", tp=1, dp=1)
    job = SmallJob(spec, small_machine(gpus=1))
    whole = job.run().report.steady
    cut = job.but(workload=replace(listing, warmup_s=0.005, cooldown_s=0.004))
    part = cut.run().report.steady
    assert part == cut.but(max_window=1).run().report.steady
    assert part.from_s is not None
    assert part.to_s is not None
    assert whole.to_s is not None
    assert whole.from_s == 0.0
    assert part.from_s >= 0.005
    assert part.to_s <= 0.015 < whole.to_s <= 0.019
    assert cut.resolved.digest != job.resolved.digest

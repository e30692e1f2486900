"""The oracle asks the devices what it does not know, until a plan asks nothing new."""

import json

import pytest

from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.small_jobs import SmallJob, listed, small_machine, without_exchange


@pytest.fixture(scope="module")
def job() -> SmallJob:
    machine = small_machine(attention__ccd_l_tck=128_000, scheduler__predictor="oracle")
    workload = listed([30, 200, 20, 150, 40, 90], [31, 20, 25, 14, 30, 33])
    return SmallJob(JobSpec(workload, model=small_model(kv_heads=4), policy="l3"), machine)


def test_it_is_right_about_the_gpu_and_nearly_about_the_ranks(job: SmallJob) -> None:
    found = job.run().report.prediction
    assert found.predictor == "oracle"
    assert found.plans.gpu.p99 == 0.0
    assert found.plans.attention.median is not None
    assert found.plans.attention.median < 0.01


def test_it_is_nearly_right_about_striped_ranks_as_well(job: SmallJob) -> None:
    stripes = (("attention.partition", "block"), ("attention.stripe_tokens", "20"))
    found = job.but(settings=stripes).run().report.prediction
    assert found.plans.attention.median is not None
    assert found.plans.attention.median < 0.02


def test_windows_and_packing_change_nothing(job: SmallJob) -> None:
    results = [job.run(), job.but(max_window=1).run(), job.run(packed=1)]
    assert len({without_exchange(result) for result in results}) == 1


def test_tables_err_where_the_oracle_does_not(job: SmallJob) -> None:
    def gpu_errors(predictor: str) -> list[float]:
        settings = (("scheduler.predictor", predictor),)
        lines = job.but(settings=settings).run().artifacts["decisions.jsonl"].splitlines()
        plans = [json.loads(line) for line in lines]
        return [
            abs(plan["predicted_ps"][0] - plan["happened_ps"][0]) for plan in plans if plan["happened_ps"]
        ]

    assert max(gpu_errors("oracle")) == 0
    assert max(gpu_errors("tables")) > 0

"""`static`: form a batch, prefill it, decode it until it has drained."""

from typing import Any

from l3sim.orchestrator.engine.policies import POLICIES, Plan
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.engine.policies.views import Resident, predictor_of, requests_of, shown, view_of
from tests.orchestrator.small_jobs import SmallJob, lines_of, listed, small_machine


def plan_of(*args: Any, **options: Any) -> Plan:
    return POLICIES.get("static")().plan(view_of(*args, **options), predictor_of())


def test_nobody_decodes_while_the_batch_is_prefilled() -> None:
    plan = plan_of([Resident(5, 5), Resident(50, 8)], waiting=[30])
    assert requests_of(plan.decode) == []
    assert shown([plan.passes[0].chunks]) == [[(1, 42, 8, True), (2, 30, 0, True)]]


def test_a_formed_batch_starts_together() -> None:
    plan = plan_of([Resident(5, 5), Resident(300, 300)], waiting=[30], room_tokens=306)
    assert requests_of(plan.decode) == [0, 1]
    assert plan.blocked == "batch"


def test_nobody_joins_a_running_batch() -> None:
    plan = plan_of([Resident(5, 9)], waiting=[30])
    assert (requests_of(plan.decode), plan.admitted, plan.blocked) == ([0], (), "batch")
    assert plan_of([Resident(5, 9)]).blocked == ""


def test_max_requests_bounds_the_batch() -> None:
    plan = plan_of([Resident(5, 5)], waiting=[30, 40], max_requests=2)
    assert [placed.request for placed in plan.admitted] == [1]
    assert plan.blocked == "batch"


def test_batches_run_one_after_the_other() -> None:
    job = SmallJob(
        JobSpec(listed([10] * 5, [3, 9, 4, 2, 5]), model=small_model(), policy="static"), small_machine()
    )
    job = job.but(settings=(("scheduler.max_requests", "2"),))
    lines = lines_of(job.run())
    ends = [line["e2e_s"] for line in lines]
    starts = [line["queue_s"] for line in lines]
    assert starts[0] == starts[1] < max(ends[:2]) < starts[2] == starts[3] < max(ends[2:4]) < starts[4]

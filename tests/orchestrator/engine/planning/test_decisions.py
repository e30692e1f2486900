"""What a plan leaves: a record that agrees with what the report counts."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings

from l3sim.orchestrator.engine.planning.decisions import happened
from l3sim.orchestrator.engine.timeline import RoundCosts
from l3sim.reports import Report
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.engine.timeline.packing import packed
from tests.orchestrator.small_jobs import SmallJob, listed, small_jobs, small_machine

BECAUSE = {"start", "idle", "finished", "chunk", "room", "horizon", "gpu_memory", "arrival"}


def decisions(job: SmallJob) -> tuple[Report, list[dict[str, Any]]]:
    """(the report, the decisions)."""
    result = job.run()
    return result.report, [json.loads(line) for line in result.artifacts["decisions.jsonl"].splitlines()]


@settings(max_examples=20, derandomize=True)
@given(small_jobs())
def test_decisions_add_up_to_the_report(job: SmallJob) -> None:
    report, plans = decisions(job)
    assert sum(plan["rounds"] for plan in plans) == report.iterations
    assert sum(plan["preempted"] for plan in plans) == report.preemptions
    admissions = report.requests.completed + report.preemptions
    assert sum(plan["admitted"] for plan in plans) == admissions
    # The first token of an admission is sampled by a prefill.
    assert sum(plan["tokens"] for plan in plans) == report.tokens.output - admissions
    assert max(sum(plan["decoding"]) for plan in plans) == report.batch.max_requests
    for plan in plans:
        assert plan["because"] in BECAUSE
        assert len(plan["happened_ps"]) == (plan["rounds"] and (len(plan["predicted_ps"]) or 4))
        assert plan["left_out"] >= 0


def test_plans_are_numbered_and_follow_each_other() -> None:
    job = SmallJob(JobSpec(listed([30] * 4, [5, 9, 3, 4]), model=small_model(), policy="l3"), small_machine())
    _, plans = decisions(job)
    assert [plan["plan"] for plan in plans] == list(range(len(plans)))
    assert plans[0]["because"] == "start"
    assert (plans[0]["waiting"], plans[0]["admitted"]) == (4, 4)
    for plan, after in pairwise(plans):
        assert round((plan["at_s"] + plan["lasted_s"]) * 10**12) == round(after["at_s"] * 10**12)


def costs() -> RoundCosts:
    """One round, two passes, one rankset: every duration another power of ten."""

    def pair(zero: int, one: int) -> np.ndarray:
        return np.array([[zero, one]])

    def square(zero: int, one: int) -> np.ndarray:
        return np.array([[[[zero]], [[one]]]])

    return packed(
        b_first=pair(9, 9),
        b_mid=pair(1, 10),
        b_last=pair(9, 9),
        p=pair(100, 1000),
        d=square(10**4, 10**5),
        a=square(10**6, 10**7),
        u=square(10**8, 10**9),
        kv=square(10**10, 10**11),
        unchunked=np.zeros(2, dtype=np.bool_),
    )


def test_what_happened_is_that_of_the_other_sub_batch_where_it_must_be() -> None:
    assert happened(costs(), 4) == (110, 10**4 + 10**6 + 10**8 + 10**11, 1001, 10**5 + 10**7 + 10**9 + 10**10)
    assert happened(costs(), 2) == (101, 10**4 + 10**6 + 10**8 + 10**10)

"""What choices cost: judged from the same state, and without a trace in the run."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.planning.regret import ALTERNATIVES, MADE
from l3sim.orchestrator.engine.timeline import TIMELINES, RoundCosts, Rules
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.engine.timeline.packing import packed
from tests.orchestrator.small_jobs import SmallJob, listed, small_jobs, small_machine, without_exchange


def judged(job: SmallJob) -> list[dict[str, Any]]:
    return [json.loads(line) for line in job.run().artifacts["regret.jsonl"].splitlines()]


@settings(max_examples=10, derandomize=True)
@given(small_jobs(), st.sampled_from([1, 4096]))
def test_judging_changes_nothing_and_windows_do_not_change_it(job: SmallJob, max_window: int) -> None:
    plain, studied = job.run(), job.but(regret_plans=5, max_window=max_window).run()
    assert without_exchange(plain) == without_exchange(studied)
    assert plain.artifacts["decisions.jsonl"] == studied.artifacts["decisions.jsonl"]
    assert "regret.jsonl" not in plain.artifacts
    for line in studied.artifacts["regret.jsonl"].splitlines():
        point = json.loads(line)
        rates = point["tokens_per_s"]
        assert set(rates) <= {MADE, *ALTERNATIVES}
        assert rates[point["best"]] == max(rates.values())
        assert point["regret"] == 1 - rates[MADE] / max(rates.values())


def test_the_rate_of_the_plan_made_is_what_its_rounds_came_to() -> None:
    """All of its rounds are judged here: one with a chunk, else those to the first end."""
    machine = small_machine(host__sample_us=7.0, host__schedule_request_us=2.5, host__launch_us=9.0)
    job = SmallJob(JobSpec(listed([90] * 5, [4] * 5), model=small_model(), policy="fill"), machine)
    job = job.but(regret_plans=1000)
    plans = [json.loads(line) for line in job.run().artifacts["decisions.jsonl"].splitlines()]
    assert {plan["rounds"] for plan in plans} == {0, 1, 3}  # 0: the last, empty one
    for point in judged(job):
        plan = plans[point["plan"]]
        tokens = plan["rounds"] * sum(plan["decoding"]) + sum(plan["chunk_tokens"])
        assert point["tokens_per_s"][MADE] == pytest.approx(tokens / plan["lasted_s"], rel=1e-9)


def test_at_most_so_many_points_evenly_spread() -> None:
    spec = JobSpec(listed([20] * 30, list(range(1, 31))), model=small_model(), policy="serial")
    job = SmallJob(spec, small_machine())
    every = [point["plan"] for point in judged(job.but(regret_plans=1000))]
    few = [point["plan"] for point in judged(job.but(regret_plans=6))]
    assert len(every) > 20
    assert 3 <= len(few) <= 6
    assert few == [plan for plan in every if plan % (few[1] - few[0]) == 0]


def test_a_bad_choice_is_seen() -> None:
    """One sub-batch leaves both sides idle half of the time; two of them are better."""
    model = small_model(kv_heads=4)
    machine = small_machine(
        attention__ccd_l_tck=6400,
        attention__n_hc=8,
        gpu__level="roofline",
        gpu__kernel_overhead_us=20.0,
    )
    job = SmallJob(JobSpec(listed([200] * 8, [20] * 8), model=model, policy="serial"), machine)
    points = judged(job.but(regret_plans=8))
    late = [point for point in points if point["because"] == "chunk"][-1]
    assert late["best"] != MADE
    assert late["regret"] > 0.05


def test_a_copied_timeline_goes_on_alike_and_alone() -> None:
    def costs(a: int, kv: int) -> RoundCosts:
        one, square = np.full((1, 2), 7), np.full((1, 2, 2, 2), a)
        return packed(
            one, one, one, one, square, square, square, np.full((1, 2, 2, 2), kv), np.zeros(2, dtype=np.bool_)
        )

    timeline = TIMELINES.get("attention")(Rules(5, 2, overlap=True, half_duplex=True))
    timeline.simulate(costs(5, 400), 0, 2**62, [])
    assert timeline.pending()
    twin, idle = timeline.copy(), timeline.copy()
    ours, theirs = (each.simulate(costs(9, 40), 10_000, 2**62, []) for each in (timeline, twin))
    assert ours.join_ps.tolist() == theirs.join_ps.tolist()
    assert ours.end_ps.tolist() == theirs.end_ps.tolist()
    assert timeline.drain(2**62)[0] == twin.drain(2**62)[0] > idle.drain(2**62)[0] > 0

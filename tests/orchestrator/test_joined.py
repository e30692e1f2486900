"""Where scheduler, KV cache and host stages meet: shared prefixes under every policy, lengths known or not.

prefixes, priorities, limits ── policy ── booking, grown or foreseen ── blocks kept once ── host stages
"""

from dataclasses import replace

import pytest

from l3sim.placement import layout_of
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.engine.test_replica import expected_lines, slow_run
from tests.orchestrator.slow_report import slow_report
from tests.orchestrator.small_jobs import (
    EVERY_POLICY,
    SmallJob,
    lines_of,
    listed,
    sized,
    small_machine,
    without_exchange,
)

PROMPT, OUTPUT = [40, 50, 45, 60, 42, 55, 48, 50], [60, 30, 50, 20, 60, 5, 40, 30]
MOST_OUTPUT = 50
#: Number and tokens of each request's prefix: two or three whole blocks of 16 tokens.
PREFIXES = [(1, 40), (1, 33), (2, 45), (1, 60), (2, 42), (0, 0), (2, 48), (1, 50)]
LENGTHS_KNOWN = pytest.mark.parametrize("oracle", [False, True], ids=["grown", "foreseen"])


def job_of(policy: str, oracle: bool, sharing: str = "longest") -> SmallJob:
    """Eight requests, urgent or not, on one rankset of two ranks with room for 14 blocks of 16 tokens."""
    model = small_model(kv_heads=4)
    machine = small_machine(
        attention__ranksets=1,
        attention__n_hc=8,
        attention__kv_block_tokens=16,
        scheduler__prefix_sharing=sharing,
        host__sample_us=7.0,
        host__schedule_request_us=2.5,
        host__launch_us=9.0,
        host__output_request_us=3.0,
    )
    machine = sized(machine, layout_of(machine.attention, model, 1, 1), model, 14 * 16, 10**9)
    workload = replace(listed(PROMPT, OUTPUT, prefixes=PREFIXES), priorities=((0, 1.0), (9, 1.0)))
    return SmallJob(JobSpec(workload, model=model, policy=policy, oracle_lengths=oracle), machine)


@LENGTHS_KNOWN
@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_prefixes_under_every_policy(policy: str, oracle: bool) -> None:
    job = job_of(policy, oracle)
    job = job.but(workload=replace(job.spec.workload, max_output_tokens=MOST_OUTPUT))
    result = job.run()
    report = result.report
    assert report.invariants == "ok"
    assert report.kv.prefix.hit_tokens > 0
    assert report.tokens.output == sum(min(MOST_OUTPUT, tokens) for tokens in OUTPUT)
    # With all lengths known, only requests are admitted that have room to their end.
    assert (report.preemptions == 0) == oracle
    assert without_exchange(job.but(max_window=1).run()) == without_exchange(result)


@LENGTHS_KNOWN
@pytest.mark.parametrize("sharing", ["off", "balanced", "longest"])
@pytest.mark.parametrize("policy", ["serial", "fill"])
def test_the_slow_engine_agrees(policy: str, sharing: str, oracle: bool) -> None:
    job = job_of(policy, oracle, sharing)
    result, replicas = job.run(), slow_run(job)
    assert lines_of(result) == expected_lines(replicas)
    expected = slow_report(job, replicas)
    assert {key: result.report.to_dict()[key] for key in expected} == expected
    assert ("shares a prefix" in replicas[0].reached) == (sharing != "off")

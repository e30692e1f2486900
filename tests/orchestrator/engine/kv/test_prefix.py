"""Requests with a common prompt: what they share, and what it is worth in whole jobs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.orchestrator.engine.kv.prefix import PrefixSharing
from l3sim.orchestrator.engine.kv.stripes import runs_at
from l3sim.placement import layout_of
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.engine.kv.test_ledger import table_of
from tests.orchestrator.engine.test_replica import expected_lines, slow_run
from tests.orchestrator.slow_report import slow_report
from tests.orchestrator.small_jobs import SmallJob, lines_of, listed, numbers, sized, small_machine


def test_only_whole_blocks_are_shared() -> None:
    table = table_of([40] * 4, [1] * 4, [(1, 40), (1, 15), (2, 16), (0, 0)])
    assert PrefixSharing.of(table, 16, "balanced").shareable.tolist() == [2, 0, 1, 0]
    assert not PrefixSharing.of(table, 16, "off").any
    assert not PrefixSharing.of(table, 64, "balanced").any


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 9), st.integers(0, 9)), min_size=1
    )
)
def test_once_counts_the_union_of_prefixes(rows: list[tuple[int, int, int, int]]) -> None:
    prefix, places, amounts, shared = (numbers([row[column] for row in rows]) for column in range(4))
    shared[prefix == 0] = 0
    sharing = PrefixSharing(prefix, np.ones_like(prefix), longest=False)
    expected: list[set[Any]] = [set(), set()]
    for number, (name, place, amount, common) in enumerate(zip(prefix, places, amounts, shared, strict=True)):
        expected[place] |= {("shared", name, k) if k < common else ("own", number, k) for k in range(amount)}
    runs = sharing.runs(np.arange(len(rows)), places, amounts, shared, 2)
    found = runs_at(*runs, 0, 1, 2)
    assert found.tolist() == [len(units) for units in expected]


def job_of(sharing: str, policy: str = "fill", outputs: int = 8, rank_tokens: int = 176) -> SmallJob:
    """Six requests whose 64 prompt tokens are the same, on one rankset of two ranks, blocks of 16 tokens."""
    model = small_model(kv_heads=4)
    machine = small_machine(
        attention__ranksets=1,
        attention__n_hc=8,
        attention__kv_block_tokens=16,
        scheduler__prefix_sharing=sharing,
        scheduler__admit_watermark=0.0,
    )
    machine = sized(machine, layout_of(machine.attention, model, 1, 1), model, rank_tokens, 10**9)
    workload = listed([64] * 6, [outputs] * 6, prefixes=[(1, 64)] * 6)
    return SmallJob(JobSpec(workload, model=model, policy=policy), machine)


@pytest.mark.parametrize("policy", ["serial", "fill"])
@pytest.mark.parametrize(("sharing", "most"), [("off", 2), ("balanced", 6), ("longest", 6)])
def test_who_shares_makes_room_for_more(policy: str, sharing: str, most: int) -> None:
    """A rank has room for 11 blocks: two requests of 5, or 4 shared ones and one of each of six."""
    job = job_of(sharing, policy)
    result = job.run()
    assert result.report.batch.max_requests == most
    prefix = result.report.kv.prefix
    assert prefix.asked_tokens == (0 if sharing == "off" else 6 * 64)
    # All six enter at one point: the first finds nothing.
    assert prefix.hit_tokens == (0 if sharing == "off" else 5 * 64)
    replicas = slow_run(job)
    expected = slow_report(job, replicas)
    assert {key: result.report.to_dict()[key] for key in expected} == expected
    assert lines_of(result) == expected_lines(replicas)


def test_who_is_preempted_leaves_the_blocks_that_others_hold() -> None:
    """Outputs outgrow the ranks: the last admitted goes, comes back, and hits what the others kept."""
    job = job_of("longest", outputs=40)
    result = job.run()
    assert result.report.preemptions > 0
    assert result.report.invariants == "ok"
    assert result.report.kv.prefix.asked_tokens == (6 + result.report.preemptions) * 64
    replicas = slow_run(job)
    expected = slow_report(job, replicas)
    assert {key: result.report.to_dict()[key] for key in expected} == expected
    assert lines_of(result) == expected_lines(replicas)


def test_a_reservation_keeps_room_for_tokens_to_come() -> None:
    """With as many tokens reserved as are asked for none is preempted; fewer decode at a time."""
    job = job_of("off", outputs=40, rank_tokens=13 * 16)
    kept = SmallJob(job.spec, job.machine.with_settings([("scheduler.kv_reserve_tokens", 40)]))
    grown, reserved = job.run().report, kept.run().report
    assert grown.preemptions > reserved.preemptions == 0
    assert reserved.batch.max_requests < grown.batch.max_requests
    expected = slow_report(kept, slow_run(kept))
    assert {key: reserved.to_dict()[key] for key in expected} == expected

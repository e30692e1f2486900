"""What holds of every run, whatever the policy; and that a better machine is not a slower one."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.asks import WindowAsk
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.timeline.base import Outcome
from l3sim.orchestrator.engine.tokens import Tokens
from l3sim.placement import layout_of
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.small_jobs import SmallJob, lines_of, listed, sized, small_jobs, small_machine


@contextmanager
def watched(told: Counter[str]) -> Iterator[None]:
    """After every window of every replica: tokens came in order, and no rank holds more than its room."""
    tokens, answer = Tokens.commit, Replica.answer

    def count_tokens(self: Tokens, batch: Any, outcome: Outcome) -> list[int]:
        table = self._table
        emitted, last = table.emitted.copy(), table.last_stamp_ps.copy()
        ended = tokens(self, batch, outcome)
        made = table.emitted - emitted
        expected = np.zeros(len(table), dtype=np.int64)
        expected[batch.decode] = outcome.rounds
        for chunk in batch.chunks:
            expected[chunk.request] += chunk.last
        assert (made == expected).all()
        assert (table.emitted <= table.output).all()
        assert (table.last_stamp_ps[made > 0] > last[made > 0]).all()
        assert (table.last_stamp_ps[made == 0] == last[made == 0]).all()
        told["tokens"] += int(made.sum())
        return ended

    def look_at_books(self: Replica, ask: Any, answers: Any = None) -> None:
        answer(self, ask, answers)
        assert (self.kv.held_bytes() <= self.kv.shape.room_bytes).all()
        told["windows"] += isinstance(ask, WindowAsk)

    with patch.object(Tokens, "commit", count_tokens), patch.object(Replica, "answer", look_at_books):
        yield


@settings(max_examples=30, derandomize=True)
@given(small_jobs())
def test_tokens_come_once_and_in_order_and_no_rank_is_over_its_capacity(job: SmallJob) -> None:
    told: Counter[str] = Counter()
    with watched(told):
        result = job.run()
    report = result.report
    assert report.invariants == "ok"
    assert report.requests.completed == len(job.resolved.table)
    # Preempted or not: each token is made once.
    assert told["tokens"] == int(job.resolved.table.output.sum()) == report.tokens.output
    assert told["windows"] == report.exchange.windows
    if job.spec.oracle_lengths:
        assert report.preemptions == 0


@settings(max_examples=12, derandomize=True)
@given(small_jobs())
def test_plans_are_the_same_every_time(job: SmallJob) -> None:
    one, other = job.run(), job.run()
    assert one.artifacts["decisions.jsonl"] == other.artifacts["decisions.jsonl"]
    assert lines_of(one) == lines_of(other)


def crowd(seed: int, policy: str, memory: float, attention: float, channels: float) -> SmallJob:
    """Forty requests; rooms of each rank in longest requests, speeds as factors."""
    stream = np.random.default_rng(seed)
    model = small_model(layers=4, kv_heads=4)
    machine = small_machine(
        attention__ccd_l_tck=round(6400 / attention),
        link__channel_bytes_per_s=3e8 * channels,
        scheduler__max_chunk_tokens=256,
        scheduler__min_chunk_tokens=64,
    )
    prompt, output = stream.integers(5, 200, 40), stream.integers(5, 120, 40)
    longest = int((prompt + output).max())
    layout = layout_of(machine.attention, model, 1, 1)
    machine = sized(machine, layout, model, longest * memory, longest * model.kv_bytes_per_token * 4)
    return SmallJob(JobSpec(listed(prompt.tolist(), output.tolist()), model=model, policy=policy), machine)


BASE = {"memory": 3.0, "attention": 1.0, "channels": 1.0}
#: List scheduling has anomalies (Graham 1969). Those that were seen go beyond 2 % in these cases, which
#: docs/policies.md lists, and are no part of the claim.
EXCEPTIONS = {("chunked", "memory"), ("static", "memory"), ("static", "channels")}
CASES = [
    (policy, what)
    for policy in ("fill", "serial", "chunked", "static")
    for what in BASE
    if (policy, what) not in EXCEPTIONS
]


@pytest.mark.parametrize(("policy", "what"), CASES)
@settings(max_examples=2, derandomize=True, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.sampled_from([1.5, 2.0, 4.0]))
def test_more_memory_or_bandwidth_costs_at_most_2_percent(
    policy: str, what: str, seed: int, factor: float
) -> None:
    before, after = (
        crowd(seed, policy, **(BASE | {what: BASE[what] * times})).run().report.throughput_tokens_per_s
        for times in (1.0, factor)
    )
    assert after >= 0.98 * before

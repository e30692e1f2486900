"""A replica's life against a slow engine that shares no code with it."""

import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.costs.assembler import WindowCosts
from l3sim.orchestrator.engine.metrics import ReplicaMetrics
from l3sim.orchestrator.engine.policies import Plan, PlanView
from l3sim.orchestrator.engine.policies.l3 import L3
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.orchestrator.engine.timeline.base import Outcome
from l3sim.placement import kv_room_bytes, layout_of
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.meter import Meter
from tests.orchestrator.slow_engine import SlowReplica
from tests.orchestrator.slow_report import slow_report
from tests.orchestrator.slow_state import Life, SlowRules
from tests.orchestrator.small_jobs import SmallJob, lines_of, listed, sized, small_jobs, small_machine

PS = 10**12


def slow_run(job: SmallJob) -> list[SlowReplica]:
    """Every replica of a job, run to its end by the slow engine."""
    resolved = job.resolved
    machine, layout, workload = resolved.machine, resolved.layout, job.spec.workload
    rules = SlowRules(
        policy=job.spec.policy,
        room_bytes=kv_room_bytes(machine.attention, layout, resolved.model),
        gpu_room_bytes=resolved.weight_room_bytes,
        watermark=Fraction(str(machine.scheduler.admit_watermark)),
        min_chunk=machine.scheduler.min_chunk_tokens,
        max_chunk=machine.scheduler.max_chunk_tokens,
        **{
            f"{stage}_ps": round(getattr(machine.host, f"{stage}_us") * 10**6)
            for stage in ("sample", "schedule", "schedule_request", "launch", "output", "output_request")
        },
        overlap=machine.link.overlap == "rankset",
        half_duplex=machine.link.channel_bus == "half",
        reserve=machine.scheduler.kv_reserve_tokens,
        sharing=machine.scheduler.prefix_sharing,
        aging_ps=round(machine.scheduler.aging_s * PS),
        think_ps=round(workload.think_s * PS),
        lengths_known=job.spec.oracle_lengths,
    )
    replicas = []
    for index in range(layout.dp):
        table = resolved.table
        priority = np.zeros(len(table)) if table.priority is None else table.priority
        lives = [
            Life(
                number,
                prompt=int(table.prompt[number]),
                output=int(table.output[number]),
                arrival_ps=int(table.arrival_ps[number]),
                priority=int(priority[number]),
            )
            for number in range(index, len(table), layout.dp)
        ]
        if table.prefixes is not None:
            for life in lives:
                life.prefix = int(table.prefixes.number[life.number])
                life.prefix_tokens = int(table.prefixes.tokens[life.number])
        clients = None
        if workload.concurrency is not None:
            clients = sum(client % layout.dp == index for client in range(workload.concurrency))
        meter = Meter(machine, resolved.model, layout, index)
        replica = SlowReplica(rules, meter, lives, clients)
        replica.run()
        replicas.append(replica)
    return replicas


def expected_lines(replicas: list[SlowReplica]) -> list[dict[str, Any]]:
    """requests.jsonl as the slow engine has it."""
    lives = sorted((life for replica in replicas for life in replica.lives), key=lambda life: life.number)
    return [
        {
            "request": life.number,
            "line": life.number + 1,
            "prompt_tokens": life.prompt,
            "output_tokens": life.output,
            "max_output_tokens": None,
            "priority": life.priority,
            "arrival_s": life.arrival_ps / PS,
            "queue_s": (life.first_round_ps - life.arrival_ps) / PS,
            "ttft_s": (life.stamps[0] - life.arrival_ps) / PS,
            "tbt_s": life.longest_gap_ps / PS if life.output > 1 else None,
            "tpot_s": (life.stamps[-1] - life.stamps[0]) / PS / (life.output - 1)
            if life.output > 1
            else None,
            "e2e_s": (life.stamps[-1] - life.arrival_ps) / PS,
            "preemptions": life.preemptions,
            "slo_met": None,
        }
        for life in lives
    ]


def tpot_s(life: Life) -> float | None:
    return (life.stamps[-1] - life.stamps[0]) / PS / (life.output - 1) if life.output > 1 else None


@settings(max_examples=40, derandomize=True)
@given(small_jobs(("serial", "fill")), st.sampled_from([1, 2, 7, 4096]))
def test_engine_does_what_the_slow_engine_does(job: SmallJob, max_window: int) -> None:
    result = job.but(max_window=max_window).run()
    replicas = slow_run(job)
    assert lines_of(result) == expected_lines(replicas)
    expected = slow_report(job, replicas)
    assert {key: result.report.to_dict()[key] for key in expected} == expected
    assert result.report.invariants == "ok"
    note(replicas)


def note(replicas: list[SlowReplica]) -> None:
    """Show under --hypothesis-show-statistics what the cases reach."""
    lives = [life for replica in replicas for life in replica.lives]
    event(f"preempted: {sum(life.preemptions for life in lives)}")
    for name in sorted({name for replica in replicas for name in replica.reached}):
        event(name)


def test_first_to_finish_is_first_to_ask_again() -> None:
    """Two clients' requests end in one round, that of sub-batch 1 before that of sub-batch 0."""
    machine = small_machine(attention__ccd_l_tck=6400, attention__n_hc=8)
    workload = replace(listed([200, 20, 5, 5], [5, 5, 3, 3]), concurrency=2)
    job = SmallJob(JobSpec(workload, model=small_model(), policy="fill"), machine)
    long, short, third, fourth = lines_of(job.run())
    assert short["e2e_s"] < long["e2e_s"]
    assert third["arrival_s"] == short["e2e_s"]
    assert fourth["arrival_s"] == long["e2e_s"]
    assert lines_of(job.run()) == expected_lines(slow_run(job))


def test_a_head_waits_idle_until_prefill_kv_is_down() -> None:
    """The GPU has room for one prompt; its KV crawls down long after its one token was made."""
    model = small_model()
    machine = small_machine(link__channel_bytes_per_s=3e6)
    layout = layout_of(machine.attention, model, 1, 1)
    machine = sized(machine, layout, model, 1000, 60 * model.kv_bytes_per_token)
    job = SmallJob(JobSpec(listed([60, 50], [1, 1]), model=model, policy="serial"), machine)
    (replica,) = slow_run(job)
    assert "waits idle for a transfer" in replica.reached
    first, second = lines_of(job.run())
    assert second["queue_s"] > 2 * first["e2e_s"]
    assert [first, second] == expected_lines([replica])


def test_by_hand() -> None:
    """p and o take the prefill and o - 1 decoding rounds; stamps come after the host's output stage."""
    job = SmallJob(JobSpec(listed([10], [4]), model=small_model(), policy="serial"), small_machine())
    result = job.but(spans_rounds=10).run()
    spans = [json.loads(line) for line in result.artifacts["spans.jsonl"].splitlines()]
    ends = [max(one["end_ps"] for one in spans if one["round"] == r and one["task"] == "B") for r in range(4)]
    starts = [min(one["start_ps"] for one in spans if one["round"] == r) for r in range(4)]
    schedule, output = 50_000_000, 20_000_000
    assert starts == [schedule, *(end + schedule for end in ends[:3])]
    assert result.report.iterations == 4
    (line,) = lines_of(result)
    assert line["queue_s"] == schedule / PS
    assert line["ttft_s"] == (ends[0] + output) / PS
    assert line["e2e_s"] == (ends[3] + output) / PS
    layout = job.resolved.layout
    # A group books all its chips, also where two heads do not fill them.
    assert result.report.kv.peak_bytes == 13 * 4 * layout.groups * layout.block_bytes(small_model())


def test_a_head_enters_as_soon_as_gpu_memory_comes_free() -> None:
    """The first decoding round waits for the prompt's KV to be down; at its join the next prompt has room."""
    model, machine = small_model(), small_machine(link__channel_bytes_per_s=3e7)
    layout = layout_of(machine.attention, model, 1, 1)
    machine = sized(machine, layout, model, 1000, 60 * model.kv_bytes_per_token)
    job = SmallJob(JobSpec(listed([60, 50], [30, 1]), model=model, policy="serial"), machine)
    first, second = lines_of(job.run())
    assert second["e2e_s"] < first["e2e_s"] / 2
    assert [first, second] == expected_lines(slow_run(job))


def test_who_is_left_out_waits_for_the_horizon_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention is slow, so that a plan takes two of eight; rounds between plans, told by what they call."""
    told: list[Plan | int] = []
    plan, add = L3.plan, ReplicaMetrics.add_window

    def noted(self: L3, view: PlanView, predictor: Predictor) -> Plan:
        told.append(plan(self, view, predictor))
        return told[-1]  # type: ignore[return-value]

    def counted(self: ReplicaMetrics, costs: WindowCosts, outcome: Outcome, *rest: int) -> None:
        told.append(outcome.rounds)
        add(self, costs, outcome, *rest)

    monkeypatch.setattr(L3, "plan", noted)
    monkeypatch.setattr(ReplicaMetrics, "add_window", counted)
    model = small_model(kv_heads=4)
    slow = {"attention__ccd_l_tck": 128_000, "attention__n_hc": 8}
    machine = small_machine(**slow, attention__ranksets=1, scheduler__horizon=3)
    job = SmallJob(JobSpec(listed([30] * 8, [31] * 8), model=model, policy="l3"), machine)
    for max_window in (1, 2, 4096):
        told.clear()
        assert job.but(max_window=max_window).run().report.invariants == "ok"
        plans = [at for at, one in enumerate(told) if isinstance(one, Plan) and one.horizon == 3]
        lasted = Counter(rounds_from(told[at + 1 :]) for at in plans)
        assert len(plans) > 20
        # Only where a request ends is a plan shorter.
        assert max(lasted) == 3
        assert lasted[3] > 0.5 * lasted.total()


def rounds_from(told: list[Plan | int]) -> int:
    """Rounds until the next plan."""
    return sum(takewhile(lambda one: isinstance(one, int), told))  # type: ignore[arg-type]


def test_an_arrival_ends_a_window_at_the_next_join() -> None:
    """The second comes in the middle of 60 decoding rounds, and its first chunk starts within two rounds."""
    model = small_model()
    alone = SmallJob(JobSpec(listed([10], [60]), model=model, policy="fill"), small_machine())
    report = alone.run().report
    middle_ps = int(report.makespan_s * PS / 2)
    job = alone.but(workload=listed([10, 10], [60, 5], [0, middle_ps]))
    found = lines_of(job.run())
    assert found[1]["queue_s"] < 2 * (report.iteration_s.p99 or 0.0)
    assert found == expected_lines(slow_run(job))

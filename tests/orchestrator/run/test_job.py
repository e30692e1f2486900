"""Whole jobs in this process: windows, packing and the future change nothing."""

import asyncio
import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from l3sim.device import Identity
from l3sim.errors import Cancelled, InvariantBroken, NotReady, OutOfRoom
from l3sim.orchestrator.engine import replica
from l3sim.orchestrator.engine.prediction.learning.learned import FIRST_ROUNDS
from l3sim.orchestrator.engine.reconcile import Reconciliation
from l3sim.orchestrator.run import warmup as warm
from l3sim.orchestrator.run.job import JobResult, run_job
from l3sim.placement import layout_of
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.gpu.device import GpuDevice
from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from l3sim.transport.in_process import InProcessSource
from l3sim.units import Int64s
from l3sim.work import Account
from tests.orchestrator.small_jobs import (
    SmallJob,
    Watcher,
    lines_of,
    listed,
    sized,
    small_jobs,
    small_machine,
    source_of,
    without_exchange,
)

ALL_ROUNDS = 10_000
PS = 10**12


def job_of(policy: str = "fill", **changes: Any) -> SmallJob:
    """Three requests on the small machine."""
    spec = JobSpec(listed([300, 20, 5], [3, 9, 1]), model=small_model(), policy=policy, **changes)
    return SmallJob(spec, small_machine())


@settings(max_examples=14, derandomize=True)
@given(small_jobs(), st.integers(2, 40), st.sampled_from([1, 2, 64]))
def test_windows_and_packing_change_nothing(job: SmallJob, max_window: int, packed: int) -> None:
    job = job.but(spans_rounds=ALL_ROUNDS)
    whole, lockstep, some = job.run(), job.but(max_window=1).run(packed), job.but(max_window=max_window).run()
    assert without_exchange(whole) == without_exchange(lockstep) == without_exchange(some)
    for name in ("requests.jsonl", "spans.jsonl"):
        assert whole.artifacts[name] == lockstep.artifacts[name] == some.artifacts[name]
    assert whole.report.invariants == "ok"
    assert lockstep.report.exchange.windows == lockstep.report.iterations
    assert whole.report.exchange.windows <= some.report.exchange.windows
    # The GPU's own count of its time, against the timeline's.
    replicas = job.resolved.layout.dp
    busy_s = whole.report.utilization.gpu * replicas * whole.report.makespan_s
    assert sum(whole.report.gpu_time_s.values()) == pytest.approx(busy_s, rel=1e-9)


@settings(max_examples=12, derandomize=True)
@given(small_jobs().filter(lambda job: not job.spec.oracle_lengths), st.data())
def test_the_past_knows_nothing_of_lengths_to_come(job: SmallJob, data: st.DataObject) -> None:
    """Some requests end later than they did: all before the first of their ends stays as it was."""
    workload = job.spec.workload
    assert workload.listed is not None
    prompt, output = workload.listed.prompt, workload.listed.output.copy()
    slack = int((prompt + output).max()) - prompt - output
    longer = data.draw(st.sets(st.sampled_from(range(len(output))), min_size=1))
    for request in longer:
        output[request] += data.draw(st.integers(0, int(slack[request])))
    assume((output != workload.listed.output).any())
    first = job.but(spans_rounds=ALL_ROUNDS).run()
    second = job.with_output(output.tolist()).but(spans_rounds=ALL_ROUNDS).run()
    host = job.machine.host
    output_ps = round(host.output_us * 10**6)
    # A stamp comes after its join by that, and by as much again as a pass has requests.
    latest_ps = output_ps + round(host.output_request_us * 10**6) * len(output)
    cut_ps = min(end_ps(first, request) for request in longer) - latest_ps
    assert past(first, cut_ps, output_ps, longer) == past(second, cut_ps, output_ps, longer)


def end_ps(result: JobResult, request: int) -> int:
    """Stamp of a request's last token."""
    line = lines_of(result)[request]
    return round((float(line["arrival_s"]) + float(line["e2e_s"])) * PS)


def past(result: JobResult, cut_ps: int, output_ps: int, longer: set[int]) -> tuple[list[Any], list[Any]]:
    """Tasks that had ended, first tokens that were made, and requests that had ended by then."""
    spans = [span for span in spans_of(result) if span["end_ps"] <= cut_ps]
    known: list[tuple[Any, ...]] = []
    for request, line in enumerate(lines_of(result)):
        if round((line["arrival_s"] + line["ttft_s"]) * PS) <= cut_ps + output_ps:
            known.append((request, line["arrival_s"], line["queue_s"], line["ttft_s"]))
        if request not in longer and end_ps(result, request) <= cut_ps + output_ps:
            known.append((request, line["e2e_s"], line["preemptions"]))
    return spans, known


def spans_of(result: JobResult) -> list[dict[str, Any]]:
    """spans.jsonl, read."""
    return [json.loads(line) for line in result.artifacts["spans.jsonl"].splitlines()]


async def test_a_cancelled_job_stops_at_a_window() -> None:
    cancel = asyncio.Event()
    cancel.set()
    job = job_of()
    with pytest.raises(Cancelled, match="the job was asked to stop"):
        await run_job(job.resolved, source_of(job.machine), Watcher(), cancel)


async def test_a_role_without_devices_is_named() -> None:
    job = job_of()
    with pytest.raises(NotReady, match="gpu"):
        await run_job(job.resolved, InProcessSource({}), Watcher(), asyncio.Event())


def test_spans_are_those_of_the_first_rounds_only() -> None:
    job = job_of()
    every = spans_of(job.but(spans_rounds=ALL_ROUNDS).run())
    few = spans_of(job.but(spans_rounds=2).run())
    assert {span["round"] for span in few} == {0, 1}
    assert few == [span for span in every if span["round"] < 2]
    assert "spans.jsonl" not in job.run().artifacts


async def test_observer_hears_the_end_and_the_spans() -> None:
    job, watcher = job_of(spans_rounds=1), Watcher()
    result = await run_job(job.resolved, source_of(job.machine), watcher, asyncio.Event())
    last = watcher.told[-1]
    assert (last.requests_done, last.requests_total) == (3, 3)
    assert (last.output_tokens_done, last.output_tokens_total) == (13, 13)
    assert last.iterations == result.report.iterations
    assert last.windows == result.report.exchange.windows
    assert {slot for slot, _ in watcher.seen} == {"gpu", "link"}
    assert sum(len(spans) for _, spans in watcher.seen) == len(spans_of(result))


def test_config_runs_again_to_the_same_report() -> None:
    job = job_of()
    result = job.run()
    config = YAML(typ="safe", pure=True).load(result.artifacts["config.yaml"].decode())
    assert config["job"] == result.report.job
    assert config["machine"] == job.resolved.machine.resolved()
    again = job.but(settings=tuple(tuple(one.split("=")) for one in config["settings"])).run()
    assert without_exchange(again) == without_exchange(result)


def test_max_window_and_spans_leave_the_digest_alone() -> None:
    job = job_of()
    assert job.but(max_window=1, spans_rounds=5).resolved.digest == job.resolved.digest
    assert job.but(seed=1).resolved.digest != job.resolved.digest
    assert job.but(policy="serial").resolved.digest != job.resolved.digest
    assert job.with_output([3, 9, 2]).resolved.digest != job.resolved.digest


@pytest.mark.parametrize(("tokens", "loads"), [(FIRST_ROUNDS, 0), (FIRST_ROUNDS + 1, 1)])
def test_who_trains_is_loaded_beforehand_where_rounds_are_sure_to_suffice(tokens: int, loads: int) -> None:
    job = job_of("l3").with_output([1, 1, tokens])
    with patch.object(warm, "train") as train:
        job.run()
    assert train.call_count == loads
    with patch.object(warm, "train") as train:
        job.but(policy="fill").run()
    assert train.call_count == 0


def source_with_half_a_module(job: SmallJob) -> InProcessSource:
    """dimm-03 has half the memory that the machine file says."""
    modules = [
        Identity(name, name, overrides={"memory_share": 0.5} if name == "dimm-03" else {})
        for name in [f"dimm-{number:02d}" for number in range(job.machine.attention.modules)]
    ]
    return InProcessSource(
        {
            "gpu": GpuDevice([Identity("gpu")]),
            "link": InterconnectDevice([Identity("link")]),
            "dimms": DimmPimDevice(modules),
        }
    )


async def test_a_device_with_less_memory_than_said_refuses_what_would_never_end() -> None:
    """Five layers on four ranksets: at some placements the small module has to hold two of them."""
    model, machine = small_model(layers=5), small_machine(attention__n_hc=8)
    layout = layout_of(machine.attention, model, 1, 1)
    machine = sized(machine, layout, model, 100, 10**9)
    long = SmallJob(JobSpec(listed([5, 5, 6], [5, 46, 46]), model=model, policy="fill"), machine)
    with pytest.raises(OutOfRoom) as refused:
        await run_job(long.resolved, source_with_half_a_module(long), Watcher(), asyncio.Event())
    assert str(refused.value) == (
        "line 3: needs 51 tokens of KV, the devices of replica 0 hold 50; "
        "one of them has less memory than small says"
    )
    short = long.with_output([5, 46, 45])
    result = await run_job(short.resolved, source_with_half_a_module(short), Watcher(), asyncio.Event())
    assert result.report.invariants == "ok"
    assert result.report.preemptions > 0


async def test_books_that_go_wrong_in_a_job_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third window is audited; at the second audit the devices tell another number."""
    monkeypatch.setattr(replica, "AUDIT_WINDOWS", 3)
    windows = []
    accounts_differ = Reconciliation.accounts_differ

    def wrong(self: Reconciliation, accounts: list[Account], expected: Int64s) -> list[str]:
        windows.append(accounts[0].windows)
        return accounts_differ(self, accounts, expected + (len(windows) == 2))

    monkeypatch.setattr(Reconciliation, "accounts_differ", wrong)
    job = job_of(max_window=1)
    with pytest.raises(InvariantBroken, match=r"dimm-00 rank 0 holds \d+ bytes, the ledger says"):
        await run_job(job.resolved, source_of(job.machine), Watcher(), asyncio.Event())
    assert windows == [2, 5]

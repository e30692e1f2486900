"""The report of a job: every number of docs/report.md, from integers, put together once."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from l3sim import PROTOCOL_VERSION, VERSION
from l3sim.orchestrator.engine.planning.planner import prediction
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.job.slo import slo_report
from l3sim.orchestrator.report.digests import device_digest, digest_as_run
from l3sim.orchestrator.report.kv import balance_report, kv_report
from l3sim.orchestrator.report.latencies import (
    batch_of,
    gaps_between_tokens,
    iteration_of,
    request_latencies,
)
from l3sim.orchestrator.report.resources import (
    FilledSlots,
    bubbles_of,
    energy_adds_up,
    energy_of,
    gpu_time,
    host_time,
    utilization_of,
)
from l3sim.orchestrator.report.steady import is_open, rate_of, steady_of
from l3sim.reports import SCHEMA, Report
from l3sim.reports.prediction import Prediction
from l3sim.reports.sections import (
    Device,
    Exchange,
    Fidelity,
    Moments,
    Parallel,
    Provenance,
    Requests,
    Slo,
    Tokens,
    Workload,
)
from l3sim.specs.machine import digest_of
from l3sim.units import PS_PER_S, seconds
from l3sim.work import Account
from l3sim.work import Fidelity as Checked


def build_report(
    job: ResolvedJob,
    table: RequestTable,
    replicas: Sequence[Replica],
    devices: FilledSlots,
    counters: Mapping[str, Mapping[str, int]],
    broken: Sequence[str],
    exchange: Exchange,
) -> Report:
    """Everything but `exchange` is the same between runs of the same job.

    Args:
        counters: of each slot's device, by name.
        broken: invariants that do not hold, in words.
    """
    makespan = max(replica.metrics.last_event_ps for replica in replicas)
    metrics = [replica.metrics for replica in replicas]
    energy = energy_of(job, metrics, devices, makespan)
    tokens = _tokens(table)
    return Report(
        schema=SCHEMA,
        job=digest_as_run(job.digest, devices),
        machine=job.machine.name,
        model=job.model.name,
        policy=job.policy,
        workload=_workload(job),
        seed=job.spec.seed,
        parallel=Parallel(job.layout.tp, job.layout.dp),
        requests=_requests(table),
        preemptions=int(table.preemptions.sum()),
        tokens=tokens,
        makespan_s=seconds(makespan),
        throughput_tokens_per_s=tokens.output * PS_PER_S / makespan,
        steady=steady_of([replica.history.steady() for replica in replicas], makespan),
        rate=rate_of(job, table),
        **request_latencies(table),
        tbt_s=gaps_between_tokens(metrics),
        batch=batch_of(metrics),
        iterations=sum(one.rounds for one in metrics),
        iteration_s=iteration_of(metrics),
        utilization=utilization_of(job, metrics, makespan),
        bubbles=bubbles_of(job, metrics),
        host_s=host_time(metrics),
        gpu_time_s=gpu_time(counters, devices),
        energy_j=energy,
        kv=kv_report(replicas, job.model),
        balance=balance_report(replicas),
        slo=msgspec.convert(slo_report(job.spec.slo, table, makespan), Slo),
        prediction=_prediction(job, replicas),
        saturated=_saturated(job, table),
        invariants=[*broken, *energy_adds_up(energy)] or "ok",
        exchange=exchange,
        provenance=_provenance(job, devices),
        warnings=list(job.warnings),
    )


def _prediction(job: ResolvedJob, replicas: Sequence[Replica]) -> Prediction:
    found = prediction([replica.planner for replica in replicas], job.spec.seed)
    return msgspec.convert(found, Prediction)


def _requests(table: RequestTable) -> Requests:
    done = table.phase == Phase.DONE
    return Requests(
        submitted=len(table),
        completed=int(done.sum()),
        failed=int((~done).sum()),
        preempted=int((table.preemptions > 0).sum()),
    )


def _tokens(table: RequestTable) -> Tokens:
    return Tokens(
        prompt=int(table.prompt.sum()),
        output=int(table.output[table.phase == Phase.DONE].sum()),
        recomputed=int(table.recomputed.sum()),
        moved=int(table.moved.sum()),
    )


def _workload(job: ResolvedJob) -> Workload:
    spec, table = job.spec.workload, job.table
    mode = "open" if spec.rate is not None or table.arrival_ps.any() else "offline"
    return Workload(
        name=spec.name,
        requests=len(table),
        mode="closed" if spec.concurrency is not None else mode,
        rate_per_s=spec.rate,
        concurrency=spec.concurrency,
        speed=spec.speed,
        cv=spec.cv,
        think_s=spec.think_s,
        urgent=0 if table.priority is None else int((table.priority > 0).sum()),
        cut_by_limit=table.cut,
        oracle_lengths=job.spec.oracle_lengths,
        prompt_tokens=Moments(float(np.mean(table.prompt)), float(np.std(table.prompt))),
        output_tokens=Moments(float(np.mean(table.output)), float(np.std(table.output))),
    )


def _saturated(job: ResolvedJob, table: RequestTable) -> bool:
    """Open loop: the queue grows to the end, and the machine serves less than 0.95 of what is offered."""
    if not is_open(job, table):
        return False
    arrival = table.arrival_ps
    last, median = int(arrival[-1]), int(arrival[(len(arrival) - 1) // 2])
    if _queue_at(table, last) <= _queue_at(table, median):
        return False
    rate = rate_of(job, table)
    return (rate.achieved or 0.0) < 0.95 * (rate.offered or 0.0)


def _queue_at(table: RequestTable, time_ps: int) -> int:
    """Requests that have arrived by then and whose first chunk has not started."""
    return int(((table.arrival_ps <= time_ps) & (table.first_round_ps > time_ps)).sum())


def _provenance(job: ResolvedJob, devices: FilledSlots) -> Provenance:
    """What the numbers rest on; nothing in it depends on addresses or on who runs where."""
    return Provenance(
        version=VERSION,
        protocol_version=PROTOCOL_VERSION,
        submitted_digest=job.digest,
        machine_digest=job.machine.digest,
        model_digest=digest_of(msgspec.to_builtins(job.model)),
        devices=[
            Device(
                slot=slot,
                role=described.role,
                kind=described.kind,
                version=described.version,
                fidelity=ready.level,
                overrides=described.overrides_json,
                digest=device_digest(described, ready),
            )
            for slot, described, ready in sorted(devices, key=lambda entry: entry[0])
        ],
    )


def fidelity_of(accounts: Sequence[Account]) -> Fidelity | None:
    """What devices found when they checked their level; None if none did.

    It stands under `exchange`, since it depends on how rounds were cut into windows.
    """
    found = Checked()
    for account in accounts:
        found = found.joined(account.fidelity)
    if not found.windows:
        return None
    return Fidelity(
        windows=found.windows,
        calls=found.calls,
        largest_gap_s=seconds(found.gap_ps),
        largest_gap=found.gap_ppm / 1_000_000,
    )

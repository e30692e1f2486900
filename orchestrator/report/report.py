"""The report of a job: every number of docs/report.md, from integers, in one place."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from l3sim import PROTOCOL_VERSION, VERSION
from l3sim.orchestrator.engine.host_stages import STAGES
from l3sim.orchestrator.engine.metrics import ReplicaMetrics, Tally
from l3sim.orchestrator.engine.planning.planner import prediction
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.job.slo import slo_report
from l3sim.orchestrator.report.kv import balance_report, kv_report
from l3sim.specs.machine import digest_of
from l3sim.units import PS_PER_S, Int64s, joules, seconds
from l3sim.work import Account, DeviceDescription, DeviceReady, Fidelity, Role

SCHEMA = "l3.report/1"


def distribution(values: Int64s, counts: Int64s | None = None) -> dict[str, float | None]:
    """Mean, standard deviation (over n), nearest-rank percentiles and maximum, in seconds.

    Args:
        values: picoseconds.
        counts: how often each occurred; None: once each.
    """
    names = ("mean", "std", "p50", "p90", "p95", "p99", "max")
    if counts is None:
        counts = np.ones(len(values), dtype=np.int64)
    total = int(counts.sum())
    if total == 0:
        return dict.fromkeys(names)
    order = np.argsort(values, kind="stable")
    values, counts = values[order], counts[order]
    # Python integers: the square of a picosecond count leaves int64.
    pairs = list(zip(values.tolist(), counts.tolist(), strict=True))
    whole = sum(value * count for value, count in pairs)
    squares = sum(value * value * count for value, count in pairs)
    # n * sum(x^2) - (sum x)^2 is exact; isqrt keeps it so before the one division.
    deviation = math.isqrt(max(total * squares - whole * whole, 0))
    upto = np.cumsum(counts)
    result: dict[str, float | None] = {
        "mean": whole / (total * PS_PER_S),
        "std": deviation / (total * PS_PER_S),
    }
    for percent in (50, 90, 95, 99):
        rank = -(-percent * total // 100)
        result[f"p{percent}"] = seconds(int(values[np.searchsorted(upto, rank)]))
    result["max"] = seconds(int(values[-1]))
    return result


def build_report(
    job: ResolvedJob,
    table: RequestTable,
    replicas: Sequence[Replica],
    devices: Sequence[tuple[str, DeviceDescription, DeviceReady]],
    counters: Mapping[str, Mapping[str, int]],
    broken: Sequence[str],
    exchange: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything but `exchange` is the same between runs of the same job."""
    makespan = max(replica.metrics.last_event_ps for replica in replicas)
    metrics = [replica.metrics for replica in replicas]
    return {
        "schema": SCHEMA,
        "job": job.digest,
        "machine": job.machine.name,
        "model": job.model.name,
        "policy": job.policy,
        "workload": _workload(job),
        "seed": job.spec.seed,
        "parallel": {"tp": job.layout.tp, "dp": job.layout.dp},
        **_counts(table, makespan),
        **_latencies(table),
        **_rounds(metrics),
        "utilization": _utilization(job, metrics, makespan),
        "bubbles": _bubbles(job, metrics),
        "host_s": {stage: seconds(sum(one.host_ps[stage] for one in metrics)) for stage in STAGES},
        "gpu_time_s": _gpu_time(counters, devices),
        "energy_j": _energy(job, metrics, devices, makespan),
        "kv": kv_report(replicas),
        "balance": balance_report(replicas),
        "slo": slo_report(job.spec.slo, table, makespan),
        "prediction": prediction([replica.planner for replica in replicas], job.spec.seed),
        "saturated": _saturated(job, table),
        "invariants": list(broken) or "ok",
        "exchange": dict(exchange),
        "provenance": _provenance(job, devices),
        "warnings": list(job.warnings),
    }


def _counts(table: RequestTable, makespan: int) -> dict[str, Any]:
    """Requests, tokens and throughput; throughput counts the tokens of completed requests."""
    done = table.phase == Phase.DONE
    output = int(table.output[done].sum())
    return {
        "requests": {
            "submitted": len(table),
            "completed": int(done.sum()),
            "failed": int((~done).sum()),
            "preempted": int((table.preemptions > 0).sum()),
        },
        "preemptions": int(table.preemptions.sum()),
        "tokens": {
            "prompt": int(table.prompt.sum()),
            "output": output,
            "recomputed": int(table.recomputed.sum()),
        },
        "makespan_s": seconds(makespan),
        "throughput_tokens_per_s": output * PS_PER_S / makespan,
    }


def _rounds(metrics: Sequence[ReplicaMetrics]) -> dict[str, Any]:
    """Gaps between tokens, batch sizes and iterations, over all replicas."""
    iteration = distribution(*_merged([one.iterations for one in metrics]))
    return {
        "tbt_s": distribution(*_merged([one.gaps for one in metrics])),
        "batch": {
            "mean_requests": sum(one.batch_time for one in metrics)
            / max(sum(one.iteration_ps for one in metrics), 1),
            "max_requests": max(one.max_batch for one in metrics),
        },
        "iterations": sum(one.rounds for one in metrics),
        "iteration_s": {key: iteration[key] for key in ("mean", "p50", "p99")},
    }


def _workload(job: ResolvedJob) -> dict[str, Any]:
    spec, table = job.spec.workload, job.table
    mode = "open" if spec.rate is not None or table.arrival_ps.any() else "offline"
    return {
        "name": spec.name,
        "requests": len(table),
        "mode": "closed" if spec.concurrency is not None else mode,
        "rate_per_s": spec.rate,
        "concurrency": spec.concurrency,
        "speed": spec.speed,
        "cv": spec.cv,
        "think_s": spec.think_s,
        "urgent": 0 if table.priority is None else int((table.priority > 0).sum()),
        "cut_by_limit": table.cut,
        "oracle_lengths": job.spec.oracle_lengths,
        "prompt_tokens": {"mean": float(np.mean(table.prompt)), "std": float(np.std(table.prompt))},
        "output_tokens": {"mean": float(np.mean(table.output)), "std": float(np.std(table.output))},
    }


def _merged(tallies: Sequence[Tally]) -> tuple[Int64s, Int64s]:
    whole = Tally()
    for tally in tallies:
        whole.add(*tally.pairs())
    return whole.pairs()


def _latencies(table: RequestTable) -> dict[str, Any]:
    """TTFT, TPOT, end to end and queueing times over completed requests."""
    done = table.phase == Phase.DONE
    arrival = table.arrival_ps[done]
    first, last = table.first_stamp_ps[done], table.last_stamp_ps[done]
    gaps = table.output[done] - 1
    several = gaps > 0
    # Rounded half up to whole picoseconds, so that percentiles stay exact.
    spans = (last - first)[several]
    per_token = (2 * spans + gaps[several]) // (2 * gaps[several])
    return {
        "ttft_s": distribution(first - arrival),
        "tpot_s": distribution(per_token),
        "e2e_s": distribution(last - arrival),
        "queue_s": distribution(table.first_round_ps[done] - arrival),
    }


def _ranks(job: ResolvedJob) -> int:
    return job.layout.ranksets * job.layout.ranks


def _utilization(job: ResolvedJob, metrics: Sequence[ReplicaMetrics], makespan: int) -> dict[str, float]:
    """Busy time of x's domains / (domains * makespan)."""
    domains = {"gpu": 1, "attention": _ranks(job), "link_down": 1, "link_up": 1}
    return {
        name: sum(one.busy_ps[name] for one in metrics) / (count * len(metrics) * makespan)
        for name, count in domains.items()
    }


def _bubbles(job: ResolvedJob, metrics: Sequence[ReplicaMetrics]) -> dict[str, float]:
    """Share of the replicas' active time in which x is idle."""
    active = sum(one.active_ps for one in metrics)
    domains = {"gpu": 1, "attention": _ranks(job)}
    return {
        name: 1 - sum(one.busy_ps[name] for one in metrics) / (count * active)
        for name, count in domains.items()
    }


def _gpu_time(
    counters: Mapping[str, Mapping[str, int]],
    devices: Sequence[tuple[str, DeviceDescription, DeviceReady]],
) -> dict[str, float]:
    """What the GPUs' busy time waited for, as they counted it themselves."""
    slots = [slot for slot, described, _ in devices if described.role == Role.GPU]
    counted: dict[str, int] = {}
    for slot in slots:
        for name, value in counters.get(slot, {}).items():
            if name.endswith("_ps"):
                key = name.removesuffix("_ps")
                counted[key] = counted.get(key, 0) + value
    # Sorted: a map that came over the wire has no order.
    return {name: seconds(value) for name, value in sorted(counted.items())}


def _energy(
    job: ResolvedJob,
    metrics: Sequence[ReplicaMetrics],
    devices: Sequence[tuple[str, DeviceDescription, DeviceReady]],
    makespan: int,
) -> dict[str, float]:
    """Rows in nanojoules, summed before they become joules."""
    rows = {row: sum(one.energy_nj[row] for one in metrics) for row in ("gpu", "attention", "link")}
    # mW * ps = 1e-6 nJ.
    rows["host"] = round(job.machine.host.power_w * 1000) * makespan // 10**6
    rows["idle"] = sum(ready.idle_mw for _, _, ready in devices) * makespan // 10**6
    return {"total": joules(sum(rows.values())), **{row: joules(value) for row, value in rows.items()}}


def _saturated(job: ResolvedJob, table: RequestTable) -> bool:
    """Open loop: the queue grows to the end, and the machine serves less than 0.95 of what is offered."""
    arrival = table.arrival_ps
    if job.spec.workload.concurrency is not None or len(arrival) < 2 or arrival[-1] == arrival[0]:
        return False
    last, median = int(arrival[-1]), int(arrival[(len(arrival) - 1) // 2])
    if _queue_at(table, last) <= _queue_at(table, median):
        return False
    offered = (len(arrival) - 1) / int(arrival[-1] - arrival[0])
    ends = table.last_stamp_ps
    achieved = len(arrival) / int(ends.max() - arrival[0])
    return achieved < 0.95 * offered


def _queue_at(table: RequestTable, time_ps: int) -> int:
    """Requests that have arrived by then and whose first chunk has not started."""
    return int(((table.arrival_ps <= time_ps) & (table.first_round_ps > time_ps)).sum())


def _provenance(
    job: ResolvedJob, devices: Sequence[tuple[str, DeviceDescription, DeviceReady]]
) -> dict[str, Any]:
    """What the numbers rest on; nothing in it depends on addresses or on who runs where."""
    return {
        "version": VERSION,
        "protocol_version": PROTOCOL_VERSION,
        "machine_digest": job.machine.digest,
        "model_digest": digest_of(msgspec.to_builtins(job.model)),
        "devices": [
            {
                "slot": slot,
                "role": described.role,
                "kind": described.kind,
                "version": described.version,
                "fidelity": ready.level,
                "overrides": described.overrides_json,
            }
            for slot, described, ready in sorted(devices, key=lambda entry: entry[0])
        ],
    }


def fidelity_of(accounts: Sequence[Account]) -> dict[str, Any]:
    """What devices found when they checked their level: {} if none did, else the report's entry.

    It stands under `exchange`, since it depends on how rounds were cut into windows.
    """
    found = Fidelity()
    for account in accounts:
        found = found.joined(account.fidelity)
    if not found.windows:
        return {}
    entry = {
        "windows": found.windows,
        "calls": found.calls,
        "largest_gap_s": seconds(found.gap_ps),
        "largest_gap": found.gap_ppm / 1_000_000,
    }
    return {"fidelity": entry}

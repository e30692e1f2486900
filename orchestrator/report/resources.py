"""What the parts of the machine did for the report: busy and idle time, what GPUs waited for, energy."""

from collections.abc import Mapping, Sequence

import numpy as np

from l3sim.orchestrator.engine.host_stages import STAGES
from l3sim.orchestrator.engine.metrics import ReplicaMetrics
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.reports.sections import Bubbles, Energy, HostTime, Utilization
from l3sim.units import joules, seconds
from l3sim.work import DeviceDescription, DeviceReady, Role

#: Slot, what the device there says of itself, and its answer to Hello.
FilledSlots = Sequence[tuple[str, DeviceDescription, DeviceReady]]


def utilization_of(job: ResolvedJob, metrics: Sequence[ReplicaMetrics], makespan: int) -> Utilization:
    """Busy time of x's domains / (domains * makespan)."""
    domains = {"gpu": 1, "attention": _ranks(job), "link_down": 1, "link_up": 1}
    return Utilization(
        **{
            name: sum(one.busy_ps[name] for one in metrics) / (count * len(metrics) * makespan)
            for name, count in domains.items()
        }
    )


def bubbles_of(job: ResolvedJob, metrics: Sequence[ReplicaMetrics]) -> Bubbles:
    """Share of the replicas' active time in which x is idle."""
    active = sum(one.active_ps for one in metrics)
    domains = {"gpu": 1, "attention": _ranks(job)}
    return Bubbles(
        **{
            name: 1 - sum(one.busy_ps[name] for one in metrics) / (count * active)
            for name, count in domains.items()
        }
    )


def host_time(metrics: Sequence[ReplicaMetrics]) -> HostTime:
    """Seconds of each stage, over all replicas."""
    return HostTime(**{stage: seconds(sum(one.host_ps[stage] for one in metrics)) for stage in STAGES})


def gpu_time(
    counters: Mapping[str, Mapping[str, int]],
    devices: FilledSlots,
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


def energy_of(
    job: ResolvedJob,
    metrics: Sequence[ReplicaMetrics],
    devices: FilledSlots,
    makespan: int,
) -> Energy:
    """Rows in nanojoules, summed before they become joules."""
    rows = {row: sum(one.energy_nj[row] for one in metrics) for row in ("gpu", "attention", "link")}
    # mW * ps = 1e-6 nJ.
    rows["host"] = round(job.machine.host.power_w * 1000) * makespan // 10**6
    rows["idle"] = sum(ready.idle_mw for _, _, ready in devices) * makespan // 10**6
    return Energy(joules(sum(rows.values())), **{row: joules(value) for row, value in rows.items()})


def energy_adds_up(energy: Energy) -> list[str]:
    """The rows of the energy ledger sum to its total; what is wrong, in words."""
    rows = energy.gpu + energy.attention + energy.link + energy.host + energy.idle
    return [] if np.isclose(energy.total, rows, rtol=1e-12) else ["energy rows do not sum to the total"]


def _ranks(job: ResolvedJob) -> int:
    return job.layout.ranksets * job.layout.ranks

"""The steady part of a job, over its replicas; offered and achieved rates."""

from collections.abc import Sequence

from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.engine.steady import Part
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.reports.sections import Rate, Steady
from l3sim.units import PS_PER_S, seconds


def steady_of(parts: Sequence[Part | None], makespan_ps: int) -> Steady:
    """Throughput of the steady parts; nulls where a replica has none.

    Each replica counts its own tokens over its own part. `from_s` is the latest beginning and `to_s` the
    earliest end; the share is that of all replicas' time.

    Args:
        parts: of each replica.
    """
    known = [part for part in parts if part is not None and part.to_ps > part.from_ps]
    if len(known) < len(parts):
        return Steady(None, None, None, None)
    lasted = [part.to_ps - part.from_ps for part in known]
    rates = [part.tokens * PS_PER_S / time for part, time in zip(known, lasted, strict=True)]
    return Steady(
        throughput_tokens_per_s=sum(rates),
        from_s=seconds(max(part.from_ps for part in known)),
        to_s=seconds(min(part.to_ps for part in known)),
        share_of_makespan=sum(lasted) / (len(known) * makespan_ps),
    )


def rate_of(job: ResolvedJob, table: RequestTable) -> Rate:
    """Requests a second that came, and that were served; nulls where it is no open loop."""
    arrival = table.arrival_ps
    if not is_open(job, table):
        return Rate(None, None)
    offered = (len(arrival) - 1) * PS_PER_S / int(arrival[-1] - arrival[0])
    achieved = len(arrival) * PS_PER_S / int(table.last_stamp_ps.max() - arrival[0])
    return Rate(offered, achieved)


def is_open(job: ResolvedJob, table: RequestTable) -> bool:
    """Whether requests come at different times that do not depend on the machine."""
    arrival = table.arrival_ps
    clients = job.spec.workload.concurrency
    return clients is None and len(arrival) > 1 and bool(arrival[-1] > arrival[0])

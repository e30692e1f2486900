"""Build one replica's engine from a resolved job and what its devices said at Hello."""

from dataclasses import dataclass

import numpy as np

from l3sim.errors import OutOfRoom
from l3sim.orchestrator.engine.host_stages import HostStages, Limits
from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.orchestrator.engine.membership import Books
from l3sim.orchestrator.engine.planning.decisions import DecisionLog
from l3sim.orchestrator.engine.planning.planner import Given, Planner
from l3sim.orchestrator.engine.planning.regret import Study
from l3sim.orchestrator.engine.policies import policy_named
from l3sim.orchestrator.engine.prediction.predictor import Tables
from l3sim.orchestrator.engine.prediction.source import predictor_source
from l3sim.orchestrator.engine.queue import Arrivals
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.engine.timeline import TIMELINES, Rules, Timeline
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.units import Int64s, ps_of
from l3sim.work import Hello


@dataclass(frozen=True)
class ReplicaDevices:
    """What the devices of one replica were sent and answered before its first window.

    Attributes:
        hellos: of each address, in the order in which they answer.
        room_bytes: KV bytes of each rank, shape (ranksets * ranks,).
        lookahead: most rounds that every device foresees.
        tables: of their estimates.
    """

    hellos: tuple[Hello, ...]
    room_bytes: Int64s
    lookahead: int
    tables: Tables


def build_replica(job: ResolvedJob, index: int, table: RequestTable, devices: ReplicaDevices) -> Replica:
    """Put a replica together.

    Args:
        table: of all requests of the job, shared by its replicas.

    Raises:
        OutOfRoom: a request would not fit into the memory that the devices have.
    """
    machine, layout, model = job.machine, job.layout, job.model
    room_bytes = devices.room_bytes
    if layout.gpu_place is not None:
        room_bytes = np.append(room_bytes, job.gpu_kv_bytes)
    shape = KvShape.of(layout, model, room_bytes)
    _check_fit(job, index, shape)
    limits = Limits(
        max_window=job.spec.max_window,
        lookahead=devices.lookahead,
        host=HostStages.of(machine.host),
        aging_ps=ps_of(machine.scheduler.aging_s),
        steady_ps=_steady_ps(job),
    )
    policy = policy_named(job.policy)()
    kind = machine.scheduler.predictor if policy.predicts else "tables"
    source = predictor_source(kind, layout, index, devices.tables, table, job.spec.seed)
    study = Study(index, job.spec.regret_plans, machine.placement, layout.gpu_place is not None)
    given = Given(machine.scheduler, model.layers, _gap_ps(job))
    planner = Planner(policy, given, source, DecisionLog(index), study)
    gpu = GpuMemory(job.weight_room_bytes, model.kv_bytes_per_token, model.layer_kv_bytes)
    books = Books(table, _arrivals(job, index, table), _ledger(job, shape, table), gpu)
    return Replica(index, devices.hellos, limits, books, _timeline(job), planner)


def _timeline(job: ResolvedJob) -> Timeline:
    link = job.machine.link
    rules = Rules(
        layers=job.model.layers,
        ranksets=job.layout.ranksets,
        overlap=link.overlap != "off",
        half_duplex=link.channel_bus == "half",
    )
    timeline = TIMELINES.get(job.machine.placement)(rules)
    timeline.record_rounds = job.spec.spans_rounds
    return timeline


def _ledger(job: ResolvedJob, shape: KvShape, table: RequestTable) -> KvLedger:
    options = job.machine.scheduler
    return KvLedger(shape, table, options.admit_watermark, options.kv_reserve_tokens, options.prefix_sharing)


def _check_fit(job: ResolvedJob, index: int, shape: KvShape) -> None:
    """Refuse what could never end on these devices: a request must fit wherever it is placed."""
    longest = int(shape.fit_tokens.min())  # GPU memory beside ranks bounds nothing
    needed = job.table.prompt + job.table.output - 1
    needed[np.arange(len(needed)) % job.layout.dp != index] = 0
    large = np.flatnonzero(needed > longest)
    if len(large):
        raise OutOfRoom(
            f"line {job.table.line[large[0]]}: needs {needed[large[0]]} tokens of KV, the devices of "
            f"replica {index} hold {longest}; one of them has less memory than {job.machine.name} says"
        )


def _arrivals(job: ResolvedJob, index: int, table: RequestTable) -> Arrivals:
    """Request i in arrival order belongs to replica i mod DP."""
    dp, workload = job.layout.dp, job.spec.workload
    clients = workload.concurrency
    if clients is not None:
        clients = clients // dp + (index < clients % dp)
    return Arrivals(table, list(range(index, len(table), dp)), clients, ps_of(workload.think_s))


def _steady_ps(job: ResolvedJob) -> tuple[int, int] | None:
    """From the first arrival to the last of an open loop, less warm-up and cool-down."""
    arrival, workload = job.table.arrival_ps, job.spec.workload
    if workload.concurrency is not None or arrival[0] == arrival[-1]:
        return None
    return int(arrival[0]) + ps_of(workload.warmup_s), int(arrival[-1]) - ps_of(workload.cooldown_s)


def _gap_ps(job: ResolvedJob) -> int | None:
    """Between two tokens at most, as `--slo tbt_s` asks, less the host's stages of a round of one request."""
    bounds = [ps_of(at_most_s) for metric, at_most_s in job.spec.slo if metric == "tbt_s"]
    host = HostStages.of(job.machine.host)
    return min(bounds) - host.gap_ps(1, 1) if bounds else None

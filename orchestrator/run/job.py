"""Run one job: open the sessions, let every replica run to its end, close the books, report."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from msgspec import UNSET

from l3sim.errors import Cancelled, InvariantBroken, OutOfRoom
from l3sim.orchestrator.engine.costs.assembler import Assembler
from l3sim.orchestrator.engine.host_stages import HostStages
from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.orchestrator.engine.limits import Limits
from l3sim.orchestrator.engine.planning.decisions import DecisionLog
from l3sim.orchestrator.engine.planning.planner import Planner
from l3sim.orchestrator.engine.planning.regret import Study
from l3sim.orchestrator.engine.policies import policy_named
from l3sim.orchestrator.engine.prediction.estimate_grid import Grid
from l3sim.orchestrator.engine.prediction.learning.learned import FIRST_ROUNDS
from l3sim.orchestrator.engine.prediction.source import Learning, forecast_of
from l3sim.orchestrator.engine.progress import Observer, Progress
from l3sim.orchestrator.engine.queue import Arrivals
from l3sim.orchestrator.engine.reconcile import Reconciliation
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.engine.timeline import TIMELINES, Rules
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.report.artifacts import artifacts
from l3sim.orchestrator.report.report import build_report, fidelity_of
from l3sim.orchestrator.report.spans import publish_spans
from l3sim.orchestrator.run.audit import books_differ, conservation, counts_differ
from l3sim.orchestrator.run.sessions import Sessions
from l3sim.orchestrator.run.warmup import warm
from l3sim.ports import DeviceSource
from l3sim.reports import Report
from l3sim.reports.sections import Exchange, ExchangeParts, Fidelity
from l3sim.work import Role

#: Windows between two audits of the attention devices' books.
AUDIT_WINDOWS = 100
PROGRESS_S = 0.2
#: Windows between two turns of the event loop when no device ever makes us wait.
TURN_WINDOWS = 16


@dataclass(frozen=True)
class JobResult:
    """What a job leaves: its report, and files by name."""

    report: Report
    artifacts: dict[str, bytes] = field(default_factory=dict)


async def run_job(
    job: ResolvedJob, source: DeviceSource, observer: Observer, cancel: asyncio.Event
) -> JobResult:
    """Run a job on the devices that a source offers.

    Raises:
        NotReady: a role has too few devices.
        DeviceLost: one went away; naming its slot and the reason.
        OutOfRoom: a device has less KV memory than the machine file says, and a request would not fit.
        Cancelled: `cancel` was set.
        InvariantBroken: the simulator contradicts itself.
    """
    await asyncio.to_thread(warm, _trains(job))
    run = _Run(job, await Sessions.open(job, source), observer, cancel, source.transport)
    try:
        return await run.whole()
    except BaseException:
        await run.sessions.abort()
        raise


class _Run:
    """One attempt at one job."""

    def __init__(
        self, job: ResolvedJob, sessions: Sessions, observer: Observer, cancel: asyncio.Event, transport: str
    ) -> None:
        self.job, self.sessions = job, sessions
        self._observer, self._cancel, self._transport = observer, cancel, transport
        self._table = RequestTable(job.table, job.spec.oracle_lengths)
        self._replicas: list[Replica] = []
        self._counters: Mapping[str, Mapping[str, int]] = {}
        self._began = time.monotonic()
        self._shown = self._began
        self._training = asyncio.Lock()
        self._fidelity: Fidelity | None = None
        self._wall = dict.fromkeys(("scheduler", "timeline"), 0.0)

    async def whole(self) -> JobResult:
        """Everything between Hello and the report."""
        self._replicas = [await self._build(index) for index in range(self.job.layout.dp)]
        loops = [asyncio.ensure_future(self._loop(replica)) for replica in self._replicas]
        try:
            await asyncio.gather(*loops)
        except BaseException:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            raise
        broken = await self._close()
        report = self._report(broken)
        self._show(force=True)
        if self.job.spec.spans_rounds:
            publish_spans(self._observer, [(replica.index, replica.spans) for replica in self._replicas])
        return JobResult(report, artifacts(self.job, self._table, self._replicas, report))

    async def _build(self, index: int) -> Replica:
        job, machine = self.job, self.job.machine
        layout, model = job.layout, job.model
        shape = KvShape.of(layout, model, self.sessions.rooms(index))
        self._check_fit(index, shape)
        rules = Rules(
            layers=model.layers,
            ranksets=layout.ranksets,
            overlap=machine.link.overlap != "off",
            half_duplex=machine.link.channel_bus == "half",
        )
        timeline = TIMELINES.get(machine.placement)(rules)
        timeline.record_rounds = job.spec.spans_rounds
        limits = Limits(
            max_window=job.spec.max_window,
            lookahead=self.sessions.lookahead(),
            host=HostStages.of(machine.host),
            aging_ps=_us(machine.scheduler.aging_s * 10**6),
        )
        hellos = [line.hello for line in self.sessions.of_replica(index)]
        policy = policy_named(job.policy)()
        kind = machine.scheduler.predictor if policy.predicts else "tables"
        tables = await self.sessions.tables(index)
        forecast = forecast_of(kind, layout, index, tables, self._table, job.spec.seed)
        return Replica(
            index,
            limits,
            machine.scheduler,
            self._table,
            self._arrivals(index),
            self._kv(shape),
            GpuMemory(job.weight_room_bytes, model.kv_bytes_per_token, model.layer_kv_bytes),
            timeline,
            Planner(policy, forecast, DecisionLog(index), self._study(index)),
            Assembler(index, layout, model, hellos),
            Reconciliation(index, layout, hellos),
        )

    def _study(self, index: int) -> Study:
        return Study(index, self.job.spec.regret_plans, self.job.machine.placement)

    def _kv(self, shape: KvShape) -> KvLedger:
        options = self.job.machine.scheduler
        reserve, sharing = options.kv_reserve_tokens, options.prefix_sharing
        return KvLedger(shape, self._table, options.admit_watermark, reserve, sharing)

    def _check_fit(self, index: int, shape: KvShape) -> None:
        """Refuse what could never end on these devices: a request must fit wherever it is placed."""
        job, longest = self.job, int(shape.fit_tokens.min())
        needed = job.table.prompt + job.table.output - 1
        needed[np.arange(len(needed)) % job.layout.dp != index] = 0
        large = np.flatnonzero(needed > longest)
        if len(large):
            raise OutOfRoom(
                f"line {job.table.line[large[0]]}: needs {needed[large[0]]} tokens of KV, the devices of "
                f"replica {index} hold {longest}; one of them has less memory than {job.machine.name} says"
            )

    def _arrivals(self, index: int) -> Arrivals:
        """Request i in arrival order belongs to replica i mod DP."""
        dp = self.job.layout.dp
        clients = self.job.spec.workload.concurrency
        if clients is not None:
            clients = clients // dp + (index < clients % dp)
        think_ps = _us(self.job.spec.workload.think_s * 10**6)
        return Arrivals(self._table, list(range(index, len(self._table), dp)), clients, think_ps)

    async def _loop(self, replica: Replica) -> None:
        lines = self.sessions.of_replica(replica.index)
        attention = [line for line in lines if line.role == Role.ATTENTION]
        hellos = [line.hello for line in attention]
        while True:
            if replica.must_learn:
                await self._train(replica)
            began = time.perf_counter()
            window = replica.next_window()
            self._wall["scheduler"] += time.perf_counter() - began
            if isinstance(window, Grid):
                await self.sessions.ask(replica.index, window, replica.planner.forecast.asker)
                continue
            if window is None:
                return
            if asked := replica.planner.study.questions():
                replica.judge(await self.sessions.estimate(replica.index, asked))
            answers = await self.sessions.window(lines, window)
            if replica.metrics.windows % AUDIT_WINDOWS == AUDIT_WINDOWS - 1:
                accounts = await self.sessions.audit(attention)
                _refuse(books_differ(replica, hellos, accounts, closing=False))
                _refuse(replica.kv.check_integrity())
            walking = time.perf_counter()
            replica.take(answers)
            self._wall["timeline"] += time.perf_counter() - walking
            if replica.metrics.windows % TURN_WINDOWS == 0:
                await asyncio.sleep(0)
            self._show()
            if self._cancel.is_set():
                raise Cancelled("somebody asked the job to stop")

    async def _train(self, replica: Replica) -> None:
        """Train off the event loop, one replica at a time, so that their times do not overlap."""
        async with self._training:
            self._wall["scheduler"] += await asyncio.to_thread(_cpu_s, replica.planner.prepare)

    async def _close(self) -> list[str]:
        """Close the sessions and check what must hold; the list of what does not."""
        commits = [(replica.index, replica.commits) for replica in self._replicas]
        accounts = await self.sessions.close(commits)
        self._counters = {account.slot: account.counters for account in accounts}
        self._fidelity = fidelity_of(accounts)
        broken = conservation(self._table, self._replicas)
        broken += counts_differ(self._replicas, [line.hello for line in self.sessions.lines], accounts)
        for replica in self._replicas:
            lines = self.sessions.of_replica(replica.index)
            hellos = [line.hello for line in lines if line.role == Role.ATTENTION]
            broken += books_differ(replica, hellos, accounts, closing=True)
        return broken

    def _report(self, broken: list[str]) -> Report:
        sessions = self.sessions
        devices = [(slot.slot, slot.device, sessions.ready[slot.slot]) for slot in sessions.filled]
        return build_report(
            self.job, self._table, self._replicas, devices, self._counters, broken, self._exchange()
        )

    def _exchange(self) -> Exchange:
        wall = time.monotonic() - self._began
        iterations = sum(replica.metrics.rounds for replica in self._replicas)
        learning = sum(replica.planner.learning_s for replica in self._replicas)
        scheduler, timeline = self._wall["scheduler"] + learning, self._wall["timeline"] - learning
        return Exchange(
            wall_s=wall,
            windows=sum(replica.metrics.windows for replica in self._replicas),
            messages=self.sessions.messages,
            simulated_iterations_per_wall_s=iterations / wall,
            transport=self._transport,
            # Replicas wait for their devices side by side, so the exchange is what the rest leaves.
            parts_wall_s=ExchangeParts(scheduler, timeline, wall - (scheduler + timeline)),
            fidelity=self._fidelity or UNSET,
        )

    def _show(self, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._shown < PROGRESS_S:
            return
        self._shown = now
        table = self._table
        self._observer.progress(
            Progress(
                virtual_time_ps=min(replica.now_ps for replica in self._replicas),
                requests_done=int((table.emitted == table.output).sum()),
                requests_total=len(table),
                output_tokens_done=int(table.emitted.sum()),
                output_tokens_total=int(table.output.sum()),
                windows=sum(replica.metrics.windows for replica in self._replicas),
                iterations=sum(replica.metrics.rounds for replica in self._replicas),
                wall_s=now - self._began,
            )
        )


def _trains(job: ResolvedJob) -> bool:
    """Whether predictors are sure to be trained: each round makes at most one token of a request."""
    learns = policy_named(job.policy).predicts and job.machine.scheduler.predictor == Learning.name
    return learns and int(job.table.output.max()) > FIRST_ROUNDS


def _cpu_s(work: Callable[[], None]) -> float:
    """Do it; the CPU time that it took this thread, for others work beside it."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise InvariantBroken("; ".join(wrong[:3]))


def _us(microseconds: float) -> int:
    return int(np.floor(microseconds * 10**6 + 0.5))

"""Run one job: open the sessions, let every replica run to its end, close the books, report."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from msgspec import UNSET

from l3sim.errors import Cancelled
from l3sim.orchestrator.engine.asks import Ask, AuditAsk, GridAsk, StudyAsk, TrainingAsk, WindowAsk
from l3sim.orchestrator.engine.policies import policy_named
from l3sim.orchestrator.engine.prediction.learning.learned import FIRST_ROUNDS
from l3sim.orchestrator.engine.prediction.source import LearnedSource
from l3sim.orchestrator.engine.progress import Observer, Progress
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.report.artifacts import artifacts
from l3sim.orchestrator.report.report import build_report, fidelity_of
from l3sim.orchestrator.report.spans import publish_spans
from l3sim.orchestrator.run.audit import conservation, counts_differ
from l3sim.orchestrator.run.build import ReplicaDevices, build_replica
from l3sim.orchestrator.run.sessions import Sessions
from l3sim.orchestrator.run.warmup import warm
from l3sim.ports import DeviceSource
from l3sim.reports import Report
from l3sim.reports.sections import Exchange, ExchangeParts, Fidelity

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
        sessions = self.sessions
        devices = ReplicaDevices(
            hellos=tuple(session.hello for session in sessions.of_replica(index)),
            room_bytes=sessions.kv_room_bytes(index),
            lookahead=sessions.lookahead(),
            tables=await sessions.tables(index),
        )
        return build_replica(self.job, index, self._table, devices)

    async def _loop(self, replica: Replica) -> None:
        """Answer what a replica asks, until it asks nothing more."""
        sessions, index = self.sessions, replica.index
        while (ask := self._step(replica)) is not None:
            match ask:
                case TrainingAsk():
                    await self._train(ask)
                    replica.answer(ask)
                case GridAsk(grid):
                    replica.answer(ask, await sessions.grid(index, grid))
                case StudyAsk(windows, modules):
                    replica.answer(ask, await sessions.estimate(index, windows, modules))
                case AuditAsk():
                    accounts = await sessions.audit(index)
                    with self._timed("timeline"):
                        replica.answer(ask, accounts)
                case WindowAsk(window, modules):
                    answers = await sessions.window(window, modules)
                    with self._timed("timeline"):
                        replica.answer(ask, answers)
                    await self._pause(replica)

    def _step(self, replica: Replica) -> Ask | None:
        with self._timed("scheduler"):
            return replica.step()

    async def _pause(self, replica: Replica) -> None:
        """Between two windows: let others have a turn, show progress, stop when the job is to stop."""
        if replica.metrics.windows % TURN_WINDOWS == 0:
            await asyncio.sleep(0)
        self._show()
        if self._cancel.is_set():
            raise Cancelled("the job was asked to stop")

    async def _train(self, ask: TrainingAsk) -> None:
        """Train off the event loop, one replica at a time, so that their times do not overlap."""
        async with self._training:
            self._wall["scheduler"] += await asyncio.to_thread(_cpu_s, ask.train)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._wall[part] += time.perf_counter() - began

    async def _close(self) -> list[str]:
        """Close the sessions and check what must hold; the list of what does not."""
        commits = [(replica.index, replica.commits) for replica in self._replicas]
        accounts = await self.sessions.close(commits)
        self._counters = {account.slot: account.counters for account in accounts}
        self._fidelity = fidelity_of(accounts)
        broken = conservation(self._table, self._replicas)
        broken += counts_differ(self._replicas, [session.hello for session in self.sessions.opened], accounts)
        for replica in self._replicas:
            broken += replica.books_differ(accounts, closing=True)
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
    learns = policy_named(job.policy).predicts and job.machine.scheduler.predictor == LearnedSource.name
    return learns and int(job.table.output.max()) > FIRST_ROUNDS


def _cpu_s(work: Callable[[], None]) -> float:
    """Do it; the CPU time that it took this thread, for others work beside it."""
    began = time.thread_time()
    work()
    return time.thread_time() - began

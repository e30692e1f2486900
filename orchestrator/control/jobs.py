"""The life of jobs: accepted, queued, run one at a time in order of acceptance, watched, ended.

Every change goes to the journal first and is announced after that. What is not here when the process
dies is not lost: `start` takes up the journal where the last orchestrator left it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

from l3sim.errors import L3Error, NotFound, NotReady, Unreachable
from l3sim.orchestrator.control.attempt import DEVICE_ERRORS, REPORT, Attempted, attempt, one_line
from l3sim.orchestrator.control.bus_publisher import BusPublisher
from l3sim.orchestrator.control.journal import Journal
from l3sim.orchestrator.control.ports import Gate, Resolved, Result
from l3sim.orchestrator.control.record import Ending, NewJob, Record, State, serial_of
from l3sim.orchestrator.control.watch import JobEvents, View
from l3sim.orchestrator.engine.progress import Observer, Progress, Span

#: Wall seconds that a job may take to stop when asked, before it is torn down.
CANCEL_GRACE_S = 10.0
#: Wall seconds that the next job waits for a machine that is not complete, before it fails by name.
READY_WAIT_S = 30.0
#: Wall seconds that the running job may take to let go when the orchestrator stops.
STOP_S = 3.0

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")
R = TypeVar("R", bound=Resolved)


class JobManager(Generic[R]):
    """All jobs of one machine.

    Args:
        resolver: a serialised JobSpec -> what it means on this machine; raises InvalidInput.
        runner: runs one resolved job; see `l3sim.orchestrator.run.job.run_job`.
    """

    def __init__(
        self,
        journal: Journal,
        resolver: Callable[[bytes], R],
        runner: Callable[[R, Observer, asyncio.Event], Awaitable[Result]],
        gate: Gate,
        publisher: BusPublisher,
        *,
        cancel_grace_s: float = CANCEL_GRACE_S,
        ready_wait_s: float = READY_WAIT_S,
    ) -> None:
        self._journal = journal
        self._resolver = resolver
        self._runner = runner
        self._gate = gate
        self._publisher = publisher
        self._cancel_grace_s = cancel_grace_s
        self._ready_wait_s = ready_wait_s
        # SQLite waits for the disk; one thread keeps the order and leaves the event loop alone.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._live: dict[int, JobEvents] = {}
        self._queue: asyncio.Queue[JobEvents] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._changes: set[asyncio.Task[View]] = set()
        self._stopping = False

    async def start(self) -> "asyncio.Task[None]":
        """Take up the journal and begin to run what is queued.

        Returns: the task that runs jobs; it ends only with `stop`, or when the journal cannot be written.
        """
        for record in await self._io(self._journal.recover):
            self._enqueue(record)
        self._worker = asyncio.create_task(self._work(), name="jobs")
        return self._worker

    async def stop(self) -> None:
        """Accept nothing more and drop the running job, which the next orchestrator starts again."""
        self._stopping = True
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait({self._worker, *self._changes}, timeout=STOP_S)
        for live in self._live.values():
            live.close()
        self._disk.shutdown()

    def unended(self) -> list[str]:
        """Ids of the jobs that run or wait, the oldest first."""
        return [live.record.job_id for _, live in sorted(self._live.items())]

    async def submit(self, request_id: str, spec: bytes) -> View:
        """Accept a job; it is on disk when this returns.

        Raises:
            InvalidInput: the specification is refused.
            Conflict: the request id was used with another one.
            NotReady: the machine has a role unfilled.
        """
        known = await self._io(self._journal.find, request_id, spec)
        if known is not None:
            return self._view(known)
        resolved = await asyncio.to_thread(self._resolver, spec)
        self._gate.check()
        job = NewJob(
            request_id=request_id,
            spec=spec,
            digest=resolved.digest,
            model=resolved.model.name,
            policy=resolved.policy,
            workload=resolved.workload_name,
            warnings=tuple(resolved.warnings),
        )
        return await self._whole(self._accept(job))

    async def get(self, job_id: str) -> View:
        """How a job stands.

        Raises:
            NotFound: there is no such job.
        """
        serial = serial_of(job_id)
        live = self._live.get(serial)
        return live.view if live is not None else self._view(await self._io(self._journal.get, serial))

    async def page(self, before: int | None, size: int) -> list[View]:
        """At most `size` jobs, newest first, with serials below `before`."""
        return [self._view(record) for record in await self._io(self._journal.page, before, size)]

    async def watch(self, job_id: str, after: int) -> AsyncIterator[View]:
        """Events with numbers above `after`, the newest one each time, until the job has ended.

        Raises:
            NotFound: there is no such job.
            Unreachable: the orchestrator stops.
        """
        live = self._live.get(serial_of(job_id))
        if live is None:
            view = await self.get(job_id)
            if view.sequence > after:
                yield view
            return
        while True:
            view = await live.after(after)
            after = view.sequence
            yield view
            if view.record.state.ended:
                return

    async def cancel(self, job_id: str) -> View:
        """Ask a job to stop; one that has ended stays as it is.

        Raises:
            NotFound: there is no such job.
        """
        live = self._live.get(serial_of(job_id))
        if live is None:
            return await self.get(job_id)
        return await self._whole(self._cancel(live))

    async def report(self, job_id: str) -> str:
        """The report of a job that succeeded, as JSON.

        Raises:
            NotFound: there is no such job.
            NotReady: it has not succeeded.
        """
        record = (await self.get(job_id)).record
        if record.state is not State.SUCCEEDED:
            error = f": {record.error_message}" if record.error_message else ""
            raise NotReady(f"{job_id} is {record.state}{error}; only a job that succeeded has a report")
        return b"".join([part async for part in self.artifact(job_id, REPORT)]).decode()

    async def artifact(self, job_id: str, name: str) -> AsyncIterator[bytes]:
        """A file that a job left, in parts of at most 1 MiB.

        Raises:
            NotFound: there is no such job, or it left no such file.
        """
        record = (await self.get(job_id)).record
        parts = await self._io(self._journal.artifact_parts, record.serial, name)
        if not parts:
            raise NotFound(f"{job_id} ({record.state}) left no file {name!r}")
        for part in range(parts):
            yield await self._io(self._journal.artifact_part, record.serial, name, part)

    async def _accept(self, job: NewJob) -> View:
        record, new = await self._io(self._journal.accept, job)
        return self._enqueue(record).view if new else self._view(record)

    async def _cancel(self, live: JobEvents) -> View:
        async with live.lock:
            if live.record.state is State.QUEUED:
                await self._finish(live, Attempted(State.CANCELLED))
            elif live.record.state is State.RUNNING and not live.record.cancel_requested:
                live.update(record=await self._io(self._journal.request_cancel, live.record.serial))
            live.cancel.set()
        return live.view

    async def _whole(self, change: Coroutine[Any, Any, View]) -> View:
        """Make a change to its end, also when the client that asked for it goes away meanwhile."""
        task = asyncio.create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    def _view(self, record: Record) -> View:
        live = self._live.get(record.serial)
        return live.view if live is not None else View(record, record.progress, record.sequence)

    def _enqueue(self, record: Record) -> JobEvents:
        live = JobEvents(record, self._journal.first_sequence + 1)
        self._live[record.serial] = live
        self._queue.put_nowait(live)
        self._publisher.job(live.view)
        return live

    async def _work(self) -> None:
        while True:
            live = await self._queue.get()
            await self._machine_for(live)
            async with live.lock:
                if live.record.state.ended:
                    continue
                record = await self._io(self._journal.start, live.record.serial)
                self._publisher.job(live.update(record=record))
            outcome = await attempt(partial(self._run, live), live.cancel, self._cancel_grace_s)
            async with live.lock:
                await self._finish(live, outcome)
            if outcome.reason in DEVICE_ERRORS:
                await self._gate.recheck()

    async def _machine_for(self, live: JobEvents) -> None:
        """Wait a while for a complete machine; the engine refuses an incomplete one by name."""
        waits = [asyncio.create_task(self._gate.complete()), asyncio.create_task(live.cancel.wait())]
        try:
            await asyncio.wait(waits, timeout=self._ready_wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _run(self, live: JobEvents) -> Result:
        record = live.record
        spec = await self._io(self._journal.spec, record.serial)
        resolved = await asyncio.to_thread(self._resolver, spec)
        if resolved.digest != record.digest:
            text = f"accepted with configuration {record.digest}, which now resolves to {resolved.digest}"
            raise NotReady(f"{record.job_id} was {text}: the machine has changed; submit the job again")
        return await self._runner(resolved, _Relay(live, self._publisher), live.cancel)

    async def _finish(self, live: JobEvents, outcome: Attempted) -> None:
        """Write the end of a job, then tell. A disk that takes no report may still take the failure."""
        serial, view = live.record.serial, live.view
        ending = Ending(outcome.state, view.sequence + 1, outcome.reason, outcome.message, view.progress)
        try:
            record = await self._io(self._journal.finish, serial, ending, outcome.artifacts)
        except Exception as error:
            _log.exception("cannot keep what %s left", live.record.job_id)
            text = f"the job ended as {outcome.state}, but cannot be kept: {one_line(error)}"
            ending = Ending(State.FAILED, view.sequence + 1, L3Error.reason, text, view.progress)
            record = await self._io(self._journal.finish, serial, ending)
        self._publisher.job(live.update(record=record))
        del self._live[serial]

    async def _io(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if self._stopping:
            raise Unreachable("the orchestrator stops; try again when it is back")
        return await asyncio.get_running_loop().run_in_executor(self._disk, lambda: call(*args, **kwargs))


class _Relay:
    """Passes on what the engine tells of one job."""

    def __init__(self, live: JobEvents, publisher: BusPublisher) -> None:
        self._live = live
        self._publisher = publisher

    def progress(self, progress: Progress) -> None:
        self._publisher.progress(self._live.update(progress=progress))

    def spans(self, slot: str, spans: Sequence[Span]) -> None:
        self._publisher.spans(self._live.record.job_id, slot, spans)

"""The Python client of a machine.

    async with Client("127.0.0.1:7600") as machine:
        job, warnings = await machine.submit(job_spec("openr1", requests=200))
        async for job in machine.watch(job.job_id):
            print(job.progress.requests_done)
        print((await machine.report(job.job_id)).throughput_tokens_per_s)

Messages come back as the contract has them (proto/l3sim/v1). Whatever goes wrong is an L3Error.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from l3sim.clients.address import find_address
from l3sim.clients.endings import ENDED, succeeded
from l3sim.clients.result import Result
from l3sim.clients.saved import ALWAYS, SOMETIMES
from l3sim.errors import L3Error, NotFound, OutOfRoom
from l3sim.reports import Report
from l3sim.specs.job import JobSpec
from l3sim.transport.channels import CLIENT_OPTIONS, MAX_MESSAGE_BYTES, MIB
from l3sim.transport.convert.job import spec_to_proto
from l3sim.transport.status import error_of
from l3sim.v1 import job_pb2, job_pb2_grpc, machine_pb2, machine_pb2_grpc

#: Wall-clock deadline of a short call, of a submission or a report (up to 64 MiB), and of one stream of
#: events, which then goes on with the next.
CALL_S = 10.0
BULK_S = 120.0
STREAM_S = 3600.0

#: Waits between attempts of a call that was not answered: 1.4 s in all.
CALL_RETRIES_S = (0.2, 0.4, 0.8)
#: The same of a stream of events: 20 s, within which a machine may have come back.
WATCH_RETRIES_S = (0.2, 0.3, 0.5, *[1.0] * 19)

# gRPC's own pause after a failed connection grows to minutes, which would outlast our attempts.
_RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000))

_Call = Callable[..., Awaitable[Any]]
_BROKEN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}


class Client:
    """One machine's jobs and devices; use it as an async context manager.

    Every call has a wall-clock deadline, and is made again a few times while no machine answers. All of them
    may raise Unreachable besides what their own text names.

    Args:
        address: HOST:PORT of the orchestrator; None: $L3_ADDRESS, the machine of `l3 up`, or 127.0.0.1:7600.
        call_retries_s, watch_retries_s: waits between attempts, one an attempt.
    """

    def __init__(
        self,
        address: str | None = None,
        call_retries_s: Sequence[float] = CALL_RETRIES_S,
        watch_retries_s: Sequence[float] = WATCH_RETRIES_S,
    ) -> None:
        self.address = find_address(None, os.environ) if address is None else address
        self._call_retries_s = call_retries_s
        self._watch_retries_s = watch_retries_s

    async def __aenter__(self) -> Self:
        # Made here rather than in __init__: a channel belongs to the event loop that runs.
        self._channel = grpc.aio.insecure_channel(self.address, options=(*CLIENT_OPTIONS, *_RECONNECT))
        self._job = job_pb2_grpc.JobServiceStub(self._channel)
        self._machine = machine_pb2_grpc.MachineServiceStub(self._channel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close(None)

    async def submit(self, spec: JobSpec, request_id: str | None = None) -> tuple[job_pb2.Job, list[str]]:
        """Hand a job in; it is durable when this returns.

        Args:
            request_id: makes the call idempotent; a fresh one by default, kept over retries.

        Returns: the job and the machine's warnings about it.

        Raises:
            InvalidInput: the specification is refused, by field.
            Conflict: the request id belongs to another specification.
            NotReady: the machine has a role unfilled.
            OutOfRoom: the job is larger than a message may be.
        """
        request = job_pb2.SubmitJobRequest(
            request_id=request_id or uuid.uuid4().hex, spec=spec_to_proto(spec)
        )
        size = request.ByteSize()
        if size > MAX_MESSAGE_BYTES:
            limit = f"more than the {MAX_MESSAGE_BYTES // MIB} MiB of a message"
            raise OutOfRoom(f"the job is {size / MIB:.1f} MiB, {limit}; take fewer with --requests")
        answer = await self._call(self._job.SubmitJob, request, BULK_S)
        return answer.job, list(answer.warnings)

    async def get(self, job_id: str) -> job_pb2.Job:
        """One job as it is now.

        Raises:
            NotFound: there is none of that id.
        """
        answer: job_pb2.GetJobResponse = await self._call(
            self._job.GetJob, job_pb2.GetJobRequest(job_id=job_id)
        )
        return answer.job

    async def jobs(self) -> list[job_pb2.Job]:
        """Every job that was ever accepted, newest first."""
        return [
            job
            async for page in self._pages(self._job.ListJobs, job_pb2.ListJobsRequest)
            for job in page.jobs
        ]

    async def watch(self, job_id: str, after_sequence: int = 0) -> AsyncIterator[job_pb2.Job]:
        """The job whenever it changes, until it has ended; goes on after a lost connection.

        Args:
            after_sequence: number of the last event that is known already.

        Raises:
            NotFound: there is none of that id.
            Unreachable: the machine went away and did not come back.
        """
        waits = iter(self._watch_retries_s)
        while True:
            request = job_pb2.WatchJobRequest(job_id=job_id, after_sequence=after_sequence)
            broken: L3Error | None = None
            try:
                async for event in self._job.WatchJob(request, timeout=STREAM_S):
                    after_sequence = max(after_sequence, event.job.progress.sequence)
                    waits = iter(self._watch_retries_s)
                    yield event.job
                    if event.job.state in ENDED:
                        return
            except grpc.aio.AioRpcError as failed:
                broken = error_of(failed, self._where)
                if failed.code() not in _BROKEN:
                    raise broken from None
            wait = next(waits, None)
            if wait is None:
                raise broken or L3Error(f"{self._where} ended its events of {job_id} before the job ended")
            await asyncio.sleep(wait)

    async def wait(self, job_id: str) -> job_pb2.Job:
        """The job when it has succeeded.

        Raises:
            NotFound: there is none of that id.
            Cancelled: it was cancelled.
            L3Error: it failed; of the class of the reason.
        """
        async for job in self.watch(job_id):
            last = job
        return succeeded(last)

    async def cancel(self, job_id: str) -> job_pb2.Job:
        """Ask a job to stop; one that has ended stays as it is.

        Raises:
            NotFound: there is none of that id.
        """
        answer: job_pb2.CancelJobResponse = await self._call(
            self._job.CancelJob, job_pb2.CancelJobRequest(job_id=job_id)
        )
        return answer.job

    async def report(self, job_id: str) -> Report:
        """The report of a job that succeeded.

        Raises:
            NotFound: there is none of that id.
            NotReady: it has not succeeded.
            InvalidInput: it lacks a field that this version reads; by the field's name.
        """
        return Report.from_json(await self.report_json(job_id))

    async def report_json(self, job_id: str) -> str:
        """The same as the machine wrote it, with what only a newer version reads.

        Raises:
            NotFound: there is none of that id.
            NotReady: it has not succeeded.
        """
        answer = await self._call(self._job.GetReport, job_pb2.GetReportRequest(job_id=job_id), BULK_S)
        text: str = answer.report_json
        return text

    async def artifact(self, job_id: str, name: str) -> bytes:
        """A file that the job left, by its name in docs/report.md.

        Raises:
            NotFound: it left no such file.
        """

        async def whole(request: job_pb2.GetArtifactRequest, timeout: float) -> bytes:  # noqa: ASYNC109
            return b"".join([part.data async for part in self._job.GetArtifact(request, timeout=timeout)])

        request = job_pb2.GetArtifactRequest(job_id=job_id, name=name)
        data: bytes = await self._call(whole, request, BULK_S)
        return data

    async def artifacts(self, job_id: str) -> dict[str, bytes]:
        """Every file that the job left beside its report, by name.

        Raises:
            NotFound: there is no such job, or it has not succeeded.
        """
        found = {name: await self.artifact(job_id, name) for name in ALWAYS}
        for name in SOMETIMES:
            with suppress(NotFound):
                found[name] = await self.artifact(job_id, name)
        return found

    async def result(self, job_id: str) -> Result:
        """Report and files of a job that succeeded.

        Raises:
            NotFound: there is none of that id.
            NotReady: it has not succeeded.
            InvalidInput: the report lacks a field that this version reads.
        """
        return Result(await self.report(job_id), await self.artifacts(job_id))

    async def machine(self) -> machine_pb2.GetMachineResponse:
        """What the machine is and whether a job could start now."""
        answer: machine_pb2.GetMachineResponse = await self._call(
            self._machine.GetMachine, machine_pb2.GetMachineRequest()
        )
        return answer

    async def change_machine(self, resolved_yaml: str) -> None:
        """Put another machine in the place of this one, for the jobs from now on.

        Args:
            resolved_yaml: as `machine()` has it.

        Raises:
            NotReady: a job runs or waits, or a role has too few devices or too many.
            InvalidInput: the machine is refused, or a device refuses its section.
        """
        request = machine_pb2.ChangeMachineRequest(resolved_yaml=resolved_yaml)
        await self._call(self._machine.ChangeMachine, request, BULK_S)

    async def devices(self) -> list[machine_pb2.DeviceState]:
        """All devices that announced themselves, by device id."""
        return [
            device
            async for page in self._pages(self._machine.ListDevices, machine_pb2.ListDevicesRequest)
            for device in page.devices
        ]

    @property
    def _where(self) -> str:
        return f"the machine at {self.address}"

    async def _call(self, call: _Call, request: Any, timeout_s: float = CALL_S) -> Any:
        waits = iter(self._call_retries_s)
        while True:
            try:
                return await call(request, timeout=timeout_s)
            except grpc.aio.AioRpcError as failed:
                wait = next(waits, None)
                if failed.code() is not grpc.StatusCode.UNAVAILABLE or wait is None:
                    raise error_of(failed, self._where) from None
            await asyncio.sleep(wait)

    async def _pages(self, call: _Call, request: Callable[..., Any]) -> AsyncIterator[Any]:
        token = ""
        while True:
            page = await self._call(call, request(page_token=token))
            yield page
            token = page.next_page_token
            if not token:
                return

"""JobService and MachineService over gRPC: requests are checked here and errors mapped by one table.

`job.proto` and `machine.proto` are the contract.
"""

import functools
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import grpc.aio

from l3sim import PROTOCOL_VERSION, VERSION
from l3sim.errors import InvalidInput, L3Error, NotReady
from l3sim.orchestrator.control.attempt import one_line
from l3sim.orchestrator.control.discovery import DeviceStatus, Discovery
from l3sim.orchestrator.control.jobs import JobManager
from l3sim.orchestrator.control.machine_change import MachineChange
from l3sim.orchestrator.control.record import State
from l3sim.orchestrator.control.watch import View
from l3sim.orchestrator.job.slots import count_roles, natural
from l3sim.orchestrator.report.artifacts import describe_machine
from l3sim.specs.catalog import model_names
from l3sim.specs.machine import Machine
from l3sim.specs.workload import workload_names
from l3sim.transport.status import abort
from l3sim.v1 import job_pb2, job_pb2_grpc, machine_pb2, machine_pb2_grpc

#: Rows of a page by default, and at most.
JOBS_PAGE = 100
DEVICES_PAGE = 1000
MAX_PAGE = 1000
MAX_REQUEST_ID = 200

_STATES = {
    State.QUEUED: job_pb2.JOB_STATE_QUEUED,
    State.RUNNING: job_pb2.JOB_STATE_RUNNING,
    State.SUCCEEDED: job_pb2.JOB_STATE_SUCCEEDED,
    State.FAILED: job_pb2.JOB_STATE_FAILED,
    State.CANCELLED: job_pb2.JOB_STATE_CANCELLED,
}

_log = logging.getLogger(__name__)
_Context = grpc.aio.ServicerContext[Any, Any]
_T = TypeVar("_T")
_S = TypeVar("_S")


def unary(method: Callable[[_S, Any], Awaitable[_T]]) -> Callable[[_S, Any, _Context], Awaitable[_T]]:
    """A call with one answer; an error that the method raises becomes its status."""

    @functools.wraps(method)
    async def call(self: _S, request: Any, context: _Context) -> _T:
        try:
            return await method(self, request)
        except Exception as error:
            await abort(context, _ours(error, method.__name__))

    return call


def streaming(
    method: Callable[[_S, Any], AsyncIterator[_T]],
) -> Callable[[_S, Any, _Context], AsyncIterator[_T]]:
    """A call with a stream of answers; an error that the method raises becomes its status."""

    @functools.wraps(method)
    async def call(self: _S, request: Any, context: _Context) -> AsyncIterator[_T]:
        try:
            async for answer in method(self, request):
                yield answer
        except Exception as error:
            await abort(context, _ours(error, method.__name__))

    return call


def _ours(error: Exception, where: str) -> L3Error:
    if isinstance(error, L3Error):
        return error
    _log.error("%s failed for an unforeseen reason", where, exc_info=error)
    return L3Error(f"{where}: {one_line(error)}; the orchestrator's log has more")


class JobServicer(job_pb2_grpc.JobServiceServicer):  # type: ignore[misc]
    """JobService of job.proto."""

    def __init__(self, jobs: JobManager[Any]) -> None:
        self._jobs = jobs

    @unary
    async def SubmitJob(self, request: Any) -> Any:  # noqa: N802
        """Accept a job."""
        if not request.HasField("spec"):
            raise InvalidInput(("spec", "missing; say what to run"))
        if len(request.request_id) > MAX_REQUEST_ID:
            raise InvalidInput(("request_id", f"must have at most {MAX_REQUEST_ID} characters"))
        spec = request.spec.SerializeToString(deterministic=True)
        view = await self._jobs.submit(request.request_id, spec)
        return job_pb2.SubmitJobResponse(job=job_message(view), warnings=view.record.warnings)

    @unary
    async def GetJob(self, request: Any) -> Any:  # noqa: N802
        """Say how a job stands."""
        return job_pb2.GetJobResponse(job=job_message(await self._jobs.get(request.job_id)))

    @unary
    async def ListJobs(self, request: Any) -> Any:  # noqa: N802
        """List jobs, newest first; the page token is the serial of the last one shown."""
        before = None
        if request.page_token:
            if not re.fullmatch(r"[0-9]{1,18}", request.page_token):
                raise InvalidInput(("page_token", "must come from next_page_token of the page before"))
            before = int(request.page_token)
        size = min(request.page_size or JOBS_PAGE, MAX_PAGE)
        views = await self._jobs.page(before, size + 1)
        token = str(views[size - 1].record.serial) if len(views) > size else ""
        return job_pb2.ListJobsResponse(jobs=map(job_message, views[:size]), next_page_token=token)

    @streaming
    async def WatchJob(self, request: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Follow a job to its end."""
        async for view in self._jobs.watch(request.job_id, request.after_sequence):
            yield job_pb2.WatchJobResponse(job=job_message(view))

    @unary
    async def CancelJob(self, request: Any) -> Any:  # noqa: N802
        """Ask a job to stop."""
        return job_pb2.CancelJobResponse(job=job_message(await self._jobs.cancel(request.job_id)))

    @unary
    async def GetReport(self, request: Any) -> Any:  # noqa: N802
        """Hand out the report of a job that succeeded."""
        return job_pb2.GetReportResponse(report_json=await self._jobs.report(request.job_id))

    @streaming
    async def GetArtifact(self, request: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Hand out a file that a job left."""
        async for part in self._jobs.artifact(request.job_id, request.name):
            yield job_pb2.GetArtifactResponse(data=part)


class MachineServicer(machine_pb2_grpc.MachineServiceServicer):  # type: ignore[misc]
    """MachineService of machine.proto.

    Args:
        policies: names that jobs may use.
    """

    def __init__(self, discovery: Discovery, changing: MachineChange, policies: Sequence[str]) -> None:
        self._discovery = discovery
        self._changing = changing
        self._policies = policies
        self._written: tuple[Machine, str] | None = None

    @unary
    async def GetMachine(self, request: Any) -> Any:  # noqa: N802, ARG002
        """Say what the machine is and whether a job could start now."""
        machine = self._discovery.machine
        return machine_pb2.GetMachineResponse(
            name=machine.name,
            description=machine.description,
            digest=machine.digest,
            version=VERSION,
            protocol_version=PROTOCOL_VERSION,
            ready=self._ready(),
            roles=[
                machine_pb2.RoleState(**role._asdict())
                for role in count_roles(machine, self._discovery.present())
            ],
            models=model_names(),
            policies=self._policies,
            workloads=[*workload_names(), "fixed:IN:OUT"],
            default_model=machine.default_model,
            resolved_yaml=self._yaml(machine),
        )

    @unary
    async def ChangeMachine(self, request: Any) -> Any:  # noqa: N802
        """Put another machine in the place of this one."""
        machine = await self._changing.change(request.resolved_yaml)
        return machine_pb2.ChangeMachineResponse(name=machine.name, digest=machine.digest)

    @unary
    async def ListDevices(self, request: Any) -> Any:  # noqa: N802
        """List all devices that announced themselves; the page token is the last device id shown."""
        slots = {
            (filled.address, filled.device.device_id): filled.slot for filled in self._discovery.assigned()
        }
        size = min(request.page_size or DEVICES_PAGE, MAX_PAGE)
        after = natural(request.page_token)
        rows = [
            row
            for row in self._discovery.devices()
            if not request.page_token or natural(row.announced.device_id) > after
        ]
        token = rows[size - 1].announced.device_id if len(rows) > size else ""
        devices = [_device_message(row, slots) for row in rows[:size]]
        return machine_pb2.ListDevicesResponse(devices=devices, next_page_token=token)

    def _ready(self) -> bool:
        try:
            self._discovery.check()
        except NotReady:
            return False
        return True

    def _yaml(self, machine: Machine) -> str:
        # Who waits for the machine asks often, and YAML is slow to write.
        if self._written is None or self._written[0] is not machine:
            self._written = (machine, describe_machine(machine))
        return self._written[1]


def job_message(view: View) -> Any:
    """A job as job.proto says."""
    record, progress = view.record, view.progress
    job = job_pb2.Job(
        job_id=record.job_id,
        state=_STATES[record.state],
        digest=record.digest,
        model=record.model,
        policy=record.policy,
        workload=record.workload,
        submitted_at=record.submitted_at,
        ended_at=record.ended_at,
        attempts=record.attempts,
        progress=job_pb2.JobProgress(
            sequence=view.sequence,
            virtual_time_ps=progress.virtual_time_ps,
            requests_done=progress.requests_done,
            requests_total=progress.requests_total,
            output_tokens_done=progress.output_tokens_done,
            output_tokens_total=progress.output_tokens_total,
            wall_s=progress.wall_s,
        ),
    )
    if record.state is State.FAILED:
        job.error.reason, job.error.message = record.error_reason, record.error_message
    return job


def _device_message(row: DeviceStatus, slots: dict[tuple[str, str], str]) -> Any:
    seen, device = row.announced, row.description
    return machine_pb2.DeviceState(
        device_id=seen.device_id,
        role=device.role if device else seen.role,
        kind=device.kind if device else seen.kind,
        level=seen.level,
        address=seen.address,
        state=row.state,
        version=device.version if device else seen.version,
        protocol_version=seen.protocol_version,
        capacity_bytes=sum(region.capacity_bytes for region in device.regions)
        if device
        else seen.capacity_bytes,
        slot=slots.get((seen.address, seen.device_id), ""),
        reason=row.reason,
    )

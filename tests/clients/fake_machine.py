"""A machine that says what a test wrote down, over real gRPC, on threads of its own.

Threads rather than the test's event loop, because the command line brings a loop of its own.
"""
# ruff: noqa: N802 -- names and arguments are those of the generated servicers

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc

from l3sim.errors import L3Error, NotFound
from l3sim.transport.channels import SERVER_OPTIONS
from l3sim.transport.status import CODES, status_of
from l3sim.v1 import job_pb2, job_pb2_grpc, machine_pb2, machine_pb2_grpc

QUEUED = job_pb2.JOB_STATE_QUEUED
RUNNING = job_pb2.JOB_STATE_RUNNING
SUCCEEDED = job_pb2.JOB_STATE_SUCCEEDED
FAILED = job_pb2.JOB_STATE_FAILED
CANCELLED = job_pb2.JOB_STATE_CANCELLED

#: An event of a stream: a job, or what breaks the stream.
Event = job_pb2.Job | grpc.StatusCode


def make_job(state: Any, sequence: int = 1, **fields: Any) -> job_pb2.Job:
    progress = job_pb2.JobProgress(
        sequence=sequence,
        virtual_time_ps=sequence * 10**12,
        requests_done=sequence,
        requests_total=10,
        output_tokens_done=100 * sequence,
        output_tokens_total=1000,
        wall_s=float(sequence),
    )
    defaults: dict[str, Any] = {
        "job_id": "job-000001",
        "digest": "d1",
        "model": "gpt-175b",
        "policy": "l3",
        "workload": "openr1",
        "submitted_at": "2025-01-01T00:00:00.000Z",
        "attempts": 1,
    }
    return job_pb2.Job(state=state, progress=progress, **(defaults | fields))


class FakeMachine(job_pb2_grpc.JobServiceServicer, machine_pb2_grpc.MachineServiceServicer):  # type: ignore[misc]
    """Answers from its attributes.

    Attributes:
        submissions: every SubmitJob that arrived.
        refusals: what the next unary calls end with, before any call is answered.
        lose_answers: so many submissions are accepted, but the answer is lost.
        streams: events of each WatchJob in turn; after the last event the stream ends well.
        watched: `after_sequence` of every WatchJob.
        watching: set once somebody watches; `cancelled` once somebody cancels; `submitted` once somebody
            submits, who is answered when `answering` is set.
    """

    def __init__(self) -> None:
        self.submissions: list[job_pb2.SubmitJobRequest] = []
        self.accepted: dict[str, job_pb2.Job] = {}
        self.warnings: list[str] = []
        self.refusals: deque[L3Error | grpc.StatusCode] = deque()
        self.lose_answers = 0
        self.streams: deque[list[Event]] = deque()
        self.watched: list[int] = []
        self.watching = threading.Event()
        self.cancelled = threading.Event()
        self.submitted = threading.Event()
        self.answering = threading.Event()
        self.answering.set()
        self.jobs: list[job_pb2.Job] = []
        self.page_size = 100
        self.report_json = "{}"
        self.artifacts: dict[str, list[bytes]] = {}
        self.devices: list[machine_pb2.DeviceState] = []

    def SubmitJob(self, request: Any, context: Any) -> job_pb2.SubmitJobResponse:
        self.submissions.append(request)
        self.submitted.set()
        self.answering.wait()
        self._maybe_refuse(context)
        new = make_job(QUEUED, job_id=f"job-{len(self.accepted) + 1:06d}")
        job = self.accepted.setdefault(request.request_id, new)
        if self.lose_answers:
            self.lose_answers -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        return job_pb2.SubmitJobResponse(job=job, warnings=self.warnings)

    def GetJob(self, request: Any, context: Any) -> job_pb2.GetJobResponse:
        self._maybe_refuse(context)
        return job_pb2.GetJobResponse(job=self._find(request.job_id, context))

    def ListJobs(self, request: Any, context: Any) -> job_pb2.ListJobsResponse:
        self._maybe_refuse(context)
        start = int(request.page_token or 0)
        end = start + self.page_size
        token = str(end) if end < len(self.jobs) else ""
        return job_pb2.ListJobsResponse(jobs=self.jobs[start:end], next_page_token=token)

    def WatchJob(self, request: Any, context: Any) -> Iterator[job_pb2.WatchJobResponse]:
        self.watched.append(request.after_sequence)
        self.watching.set()
        if not self.streams:
            _abort(context, NotFound(f"no job {request.job_id}"))
        for event in self.streams.popleft():
            if isinstance(event, grpc.StatusCode):
                context.abort(event, "the stream broke")
                raise AssertionError("abort always raises")
            if event.state == CANCELLED:
                self.cancelled.wait()
            yield job_pb2.WatchJobResponse(job=event)

    def CancelJob(self, request: Any, context: Any) -> job_pb2.CancelJobResponse:
        self._maybe_refuse(context)
        self.cancelled.set()
        return job_pb2.CancelJobResponse(job=make_job(CANCELLED, job_id=request.job_id, ended_at="now"))

    def GetReport(self, request: Any, context: Any) -> job_pb2.GetReportResponse:
        self._maybe_refuse(context)
        return job_pb2.GetReportResponse(report_json=self.report_json)

    def GetArtifact(self, request: Any, context: Any) -> Iterator[job_pb2.GetArtifactResponse]:
        if request.name not in self.artifacts:
            _abort(context, NotFound(f"{request.job_id} left no {request.name}"))
        for data in self.artifacts[request.name]:
            yield job_pb2.GetArtifactResponse(data=data)

    def GetMachine(self, request: Any, context: Any) -> machine_pb2.GetMachineResponse:
        self._maybe_refuse(context)
        return machine_pb2.GetMachineResponse(name="l3-mini", ready=True)

    def ListDevices(self, request: Any, context: Any) -> machine_pb2.ListDevicesResponse:
        self._maybe_refuse(context)
        return machine_pb2.ListDevicesResponse(devices=self.devices)

    def _find(self, job_id: str, context: Any) -> job_pb2.Job:
        found = [job for job in self.jobs if job.job_id == job_id]
        if not found:
            _abort(context, NotFound(f"no job {job_id}"))
        return found[0]

    def _maybe_refuse(self, context: Any) -> None:
        if self.refusals:
            refusal = self.refusals.popleft()
            if isinstance(refusal, L3Error):
                _abort(context, refusal)
            context.abort(refusal, "refused by the test")


def _abort(context: Any, error: L3Error) -> NoReturn:
    status = status_of(error)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(CODES[type(error)], status.message)
    raise AssertionError("abort always raises")


@contextlib.contextmanager
def served(machine: FakeMachine) -> Iterator[str]:
    """Serve on a free port of the loopback; gives HOST:PORT."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=SERVER_OPTIONS)
    job_pb2_grpc.add_JobServiceServicer_to_server(machine, server)
    machine_pb2_grpc.add_MachineServiceServicer_to_server(machine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        machine.cancelled.set()
        machine.answering.set()
        server.stop(grace=None).wait()

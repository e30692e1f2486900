"""A served machine of fake devices and a fake engine, and how its refusals are read."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from l3sim.orchestrator.control.bus_publisher import BusPublisher
from l3sim.orchestrator.control.device_source import GrpcSource
from l3sim.orchestrator.control.discovery import Discovery
from l3sim.orchestrator.control.jobs import JobManager
from l3sim.orchestrator.control.journal import Journal
from l3sim.orchestrator.control.machine_change import MachineChange
from l3sim.orchestrator.control.server import ApiServer
from l3sim.orchestrator.job.message import resolve_message
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.specs.catalog import load_machine
from l3sim.testing.bus import MemoryBus
from l3sim.testing.clock import ManualClock
from l3sim.transport.channels import open_channel
from l3sim.transport.presence import READY, presence_of
from l3sim.transport.topics import device_topic, to_json
from l3sim.v1 import job_pb2 as job
from l3sim.v1 import job_pb2_grpc, machine_pb2_grpc
from l3sim.work import DeviceDescription
from tests.orchestrator.fakes import Engine, mini_devices

MINI = load_machine("l3-mini")


class Api:
    """A served machine of fake devices and a fake engine, and stubs that talk to it."""

    def __init__(self, folder: Path) -> None:
        self.bus, self.engine = MemoryBus(), Engine()
        self.health_file = folder / "healthy"
        self.journal = Journal(folder)
        clock = ManualClock()
        self.discovery = Discovery(self.bus, MINI, self._describe, clock)
        publisher = BusPublisher(self.bus, MINI.name, clock)
        self.manager = JobManager(self.journal, self._resolve, self.engine.run, self.discovery, publisher)
        source = GrpcSource(self.discovery)
        changing = MachineChange(self.discovery, source, self.manager.unended, folder)
        self.server = ApiServer(self.manager, self.discovery, changing, health_file=self.health_file)

    async def __aenter__(self) -> "Api":
        self._listening = asyncio.create_task(self.discovery.listen())
        for address, description in mini_devices():
            self.announce(address, description)
        await self.discovery.complete()
        await self.server.__aenter__()
        await self.manager.start()
        self.channel = open_channel(self.server.address)
        self.jobs = job_pb2_grpc.JobServiceStub(self.channel)
        self.machines = machine_pb2_grpc.MachineServiceStub(self.channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.manager.stop()
        await self.channel.close(None)
        await self.server.__aexit__()
        self._listening.cancel()
        await asyncio.wait({self._listening})
        self.journal.close()

    def _resolve(self, spec: bytes) -> ResolvedJob:
        return resolve_message(spec, self.discovery.machine)

    async def _describe(self, address: str) -> list[DeviceDescription]:
        return [description for at, description in mini_devices() if at == address]

    def announce(self, address: str, description: DeviceDescription, state: str = READY) -> None:
        presence = to_json(presence_of(description, address, state, 1))
        self.bus.publish(device_topic(MINI.name, description.device_id), presence, retain=True)

    async def submit(self, **changes: Any) -> Any:
        return await self.jobs.SubmitJob(job.SubmitJobRequest(spec=spec(**changes)), timeout=20)

    async def end(self, job_id: str) -> Any:
        """Follow a job to its end; the last event."""
        call = self.jobs.WatchJob(job.WatchJobRequest(job_id=job_id), timeout=20)
        return [event.job async for event in call][-1]


def spec(**changes: Any) -> Any:
    fixed = job.Workload(name="fixed:8:4", generated=job.GeneratedRequests(requests=3))
    return job.JobSpec(**({"workload": fixed} | changes))


def details(failed: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    """Reason, and field violations, of a failed call."""
    info, bad = ErrorInfo(), BadRequest()
    metadata: Any = failed.trailing_metadata()
    status = Status.FromString(dict(metadata)["grpc-status-details-bin"])
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(bad)
    assert info.domain == "l3sim"
    return info.reason, {each.field: each.description for each in bad.field_violations}


async def refused(call: Any, code: grpc.StatusCode) -> tuple[str, str, dict[str, str]]:
    """Reason, message and violations with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is code
    reason, violations = details(raised.value)
    return reason, raised.value.details() or "", violations

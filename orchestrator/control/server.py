"""The orchestrator's API behind an address: services, health, reflection, an orderly end."""

from pathlib import Path
from typing import Any

from l3sim.orchestrator.control.api import JobServicer, MachineServicer
from l3sim.orchestrator.control.discovery import Discovery
from l3sim.orchestrator.control.jobs import JobManager
from l3sim.orchestrator.control.machine_change import MachineChange
from l3sim.orchestrator.engine.policies import POLICIES
from l3sim.transport import channels, lifetime
from l3sim.v1 import job_pb2, job_pb2_grpc, machine_pb2, machine_pb2_grpc

SERVICES = (
    job_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
    machine_pb2.DESCRIPTOR.services_by_name["MachineService"].full_name,
)


class ApiServer:
    """JobService and MachineService, for as long as the context lasts.

    Args:
        listen: HOST:PORT; port 0 takes any free one.
        health_file: exists while SERVING.

    Raises:
        InvalidInput: on entry, when the address cannot be bound.
    """

    def __init__(
        self,
        jobs: JobManager[Any],
        discovery: Discovery,
        changing: MachineChange,
        listen: str = "127.0.0.1:0",
        health_file: Path | None = None,
    ) -> None:
        self._listen = listen
        self._server = channels.new_server()
        job_pb2_grpc.add_JobServiceServicer_to_server(JobServicer(jobs), self._server)
        machines = MachineServicer(discovery, changing, list(POLICIES))
        machine_pb2_grpc.add_MachineServiceServicer_to_server(machines, self._server)
        self._health = lifetime.Health(self._server, SERVICES, health_file)
        self._port = 0

    async def __aenter__(self) -> "ApiServer":
        self._port = lifetime.bind(self._server, self._listen)
        await self._server.start()
        await self._health.serving()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._health.not_serving()
        await self._server.stop(lifetime.DRAIN_S)

    async def not_serving(self) -> None:
        """Answer every health check that this server is about to go."""
        await self._health.not_serving()

    @property
    def address(self) -> str:
        """HOST:PORT for clients."""
        return lifetime.reachable_address(self._listen, self._port)

"""The orchestrator's API behind an address: services, health, reflection, an orderly end."""

from pathlib import Path
from typing import Any

from l3sim.orchestrator.control.api import JobServicer, MachineServicer
from l3sim.orchestrator.control.discovery import Discovery
from l3sim.orchestrator.control.jobs import JobManager
from l3sim.orchestrator.control.machine_change import MachineChange
from l3sim.orchestrator.engine.policies import POLICIES
from l3sim.transport import lifetime
from l3sim.v1 import job_pb2, job_pb2_grpc, machine_pb2, machine_pb2_grpc

SERVICES = (
    job_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
    machine_pb2.DESCRIPTOR.services_by_name["MachineService"].full_name,
)


class ApiServer(lifetime.Served):
    """JobService and MachineService, for as long as the context lasts; see Served."""

    def __init__(
        self,
        jobs: JobManager[Any],
        discovery: Discovery,
        changing: MachineChange,
        listen: str = "127.0.0.1:0",
        health_file: Path | None = None,
    ) -> None:
        super().__init__(SERVICES, listen, health_file)
        job_pb2_grpc.add_JobServiceServicer_to_server(JobServicer(jobs), self.server)
        machines = MachineServicer(discovery, changing, list(POLICIES))
        machine_pb2_grpc.add_MachineServiceServicer_to_server(machines, self.server)

    @property
    def address(self) -> str:
        """HOST:PORT for clients."""
        return lifetime.reachable_address(self.listen, self.port)

"""The devices of a job, found on the bus and spoken to over gRPC."""

from collections.abc import Sequence
from functools import partial

from l3sim.orchestrator.control.discovery import Discovery
from l3sim.ports import DevicePort, DeviceSource
from l3sim.transport.grpc_port import GrpcPort, describe
from l3sim.work import DeviceDescription

#: Wall seconds that an address has to say who lives there.
DESCRIBE_S = 5.0

#: What `Discovery` asks addresses with.
describe_soon = partial(describe, wait_s=DESCRIBE_S)


class GrpcSource(DeviceSource):
    """The devices that discovery has found."""

    transport = "grpc"

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery

    def present(self) -> Sequence[tuple[str, DeviceDescription]]:
        """See DeviceSource.present."""
        return self._discovery.present()

    def connect(self, address: str) -> DevicePort:
        """See DeviceSource.connect. The port connects when Hello is said, which proves who is there."""
        return GrpcPort(address)

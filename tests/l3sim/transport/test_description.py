"""A stranger's code stands in the version of its devices, in process and over gRPC alike."""

from l3sim.launch.plan import plan_devices
from l3sim.origin import code_of
from l3sim.specs.catalog import load_machine
from l3sim.testing.fakes import FakeDevice
from l3sim.transport.description import described
from l3sim.transport.grpc_port import describe
from l3sim.transport.in_process import InProcessSource
from l3sim.transport.server import DeviceServer


class Mine(FakeDevice):
    """Not of the kit, and not of ours."""


def test_ours_describe_themselves() -> None:
    for process in plan_devices(load_machine("l3-mini")):
        device = process.device()
        assert described(device) == device.describe()


async def test_a_stranger_is_told_by_its_code_on_both_transports() -> None:
    device = Mine()
    async with DeviceServer(device) as server:
        over_grpc = await describe(server.address)
    (told,) = over_grpc
    assert told.version == f"{device.describe()[0].version}+{code_of(Mine)}"
    assert [one.version for _, one in InProcessSource({"a": device}).present()] == [told.version]

"""Devices announce themselves on the bus: retained presence, a last will that says offline."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from l3sim import PROTOCOL_VERSION
from l3sim.transport.bus import MqttBus, Standing
from l3sim.transport.topics import device_topic, to_json
from l3sim.v1.bus_pb2 import Presence
from l3sim.work import DeviceDescription

READY = "ready"
OFFLINE = "offline"


def presence_of(description: DeviceDescription, address: str, state: str, seq: int) -> Presence:
    """What a device says of itself on the bus.

    Args:
        address: HOST:PORT of its DeviceService.
        state: READY or OFFLINE.
    """
    return Presence(
        seq=seq,
        device_id=description.device_id,
        role=description.role,
        kind=description.kind,
        address=address,
        version=description.version,
        protocol_version=PROTOCOL_VERSION,
        state=state,
        capacity_bytes=sum(region.capacity_bytes for region in description.regions),
        requested_slot=description.requested_slot,
        level=description.levels[0] if description.levels else "",
    )


@asynccontextmanager
async def announce(
    devices: Sequence[DeviceDescription], address: str, machine: str, bus: str
) -> AsyncIterator[None]:
    """Say that devices are ready for as long as the context lasts; without a bus, say nothing.

    Each device has its own connection, because MQTT gives a connection one last will.
    """
    async with AsyncExitStack() as stack:
        for description in devices if bus else ():
            await stack.enter_async_context(MqttBus(bus, _standing(description, address, machine)))
        yield


def _standing(description: DeviceDescription, address: str, machine: str) -> Standing:
    def payload(state: str, seq: int) -> bytes:
        return to_json(presence_of(description, address, state, seq))

    return Standing(
        device_topic(machine, description.device_id),
        online=lambda seq: payload(READY, seq),
        offline=lambda seq: payload(OFFLINE, seq),
    )

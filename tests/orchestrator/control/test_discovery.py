"""Who is on the machine: presence on an in-memory bus, real gRPC devices behind the addresses."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from l3sim.device import Identity
from l3sim.errors import L3Error, NotReady, ProtocolMismatch, Unreachable
from l3sim.orchestrator.control.device_source import describe_soon
from l3sim.orchestrator.control.discovery import RETRY_S, Discovery
from l3sim.specs.catalog import load_machine
from l3sim.testing.bus import MemoryBus
from l3sim.testing.clock import ManualClock
from l3sim.testing.fakes import FakeDevice
from l3sim.transport.presence import OFFLINE, READY, presence_of
from l3sim.transport.server import DeviceServer
from l3sim.transport.topics import device_topic, to_json
from l3sim.work import DeviceDescription
from tests.orchestrator.fakes import device, mini_devices, turns_until

MINI = load_machine("l3-mini")
MINI_AT = load_machine("l3-mini", devices={"link": "a:7"})


class Town:
    """A discovery, its bus, and addresses that answer as the test says."""

    def __init__(self) -> None:
        self.bus, self.clock = MemoryBus(), ManualClock()
        self.answers: dict[str, Sequence[DeviceDescription] | L3Error] = {}
        self.asked: list[str] = []
        self.answered = asyncio.Event()
        self.held: asyncio.Event | None = None
        self.discovery = Discovery(self.bus, MINI, self.describe, self.clock)

    async def describe(self, address: str) -> Sequence[DeviceDescription]:
        self.asked.append(address)
        if self.held is not None:
            await self.held.wait()
        answer = self.answers.get(address, Unreachable(f"device at {address} does not answer"))
        if isinstance(answer, L3Error):
            raise answer
        return answer

    def announce(self, address: str, description: DeviceDescription, state: str = READY) -> None:
        presence = presence_of(description, address, state, 1)
        topic = device_topic("l3-mini", description.device_id)
        self.bus.publish(topic, to_json(presence), retain=True)

    def live(self, address: str, *descriptions: DeviceDescription) -> None:
        """Devices that answer at an address and announce themselves."""
        self.answers[address] = descriptions
        for description in descriptions:
            self.announce(address, description)

    def states(self) -> dict[str, str]:
        return {row.announced.device_id: row.state for row in self.discovery.devices()}

    async def until(self, **states: str) -> None:
        """Wait for a change until the devices are as said; underscores stand for dashes."""
        wanted = {name.replace("_", "-"): state for name, state in states.items()}
        while self.states() != wanted:
            await self.discovery._changed.wait()


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    town = Town()
    async with listening(town.discovery):
        yield town


@asynccontextmanager
async def listening(discovery: Discovery) -> AsyncIterator[None]:
    task = asyncio.create_task(discovery.listen())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_complete_machine_is_ready(town: Town) -> None:
    for address, description in mini_devices():
        town.answers[address] = [*town.answers.get(address, ()), description]  # type: ignore[misc]
        town.announce(address, description)
    await town.discovery.complete()
    town.discovery.check()
    assert sorted(town.discovery.present(), key=str) == sorted(mini_devices(), key=str)
    slots = {filled.slot: filled.device.device_id for filled in town.discovery.assigned()}
    assert slots["dimm-03"] == "pim-3"


async def test_an_address_is_asked_once_for_all_its_devices(town: Town) -> None:
    devices = [device(f"pim-{number}") for number in range(8)]
    town.held = asyncio.Event()
    town.answers["a:1"] = devices
    town.announce("a:1", devices[0])
    await town.until(pim_0="unreachable")
    await turns_until(lambda: bool(town.asked))
    for other in devices[1:]:
        town.announce("a:1", other)
    await town.until(**{f"pim_{number}": "unreachable" for number in range(8)})
    town.held.set()
    await town.until(**{f"pim_{number}": "ready" for number in range(8)})
    await turns_until(lambda: not town.discovery._keepers)
    # Once for the first, and once for all who came while that was under way.
    assert town.asked == ["a:1", "a:1"]


async def test_retained_presence_is_found(town: Town) -> None:
    late = Discovery(town.bus, MINI, town.describe, town.clock)
    town.live("a:1", device("pim-0"))
    await town.until(pim_0="ready")
    async with listening(late):
        while not late.present():
            await late._changed.wait()


async def test_a_device_that_leaves_is_offline(town: Town) -> None:
    town.live("a:1", device("pim-0"))
    await town.until(pim_0="ready")
    town.announce("a:1", device("pim-0"), OFFLINE)
    await town.until(pim_0="offline")
    assert town.discovery.present() == []
    assert town.discovery.devices()[0].reason == "has left the machine"


async def test_a_presence_that_is_cleared_is_forgotten(town: Town) -> None:
    town.live("a:1", device("pim-0"))
    await town.until(pim_0="ready")
    town.bus.publish(device_topic("l3-mini", "pim-0"), b"", retain=True)
    await town.until()


async def test_an_unreachable_device_is_asked_again(town: Town) -> None:
    town.announce("a:1", device("pim-0"))
    await town.until(pim_0="unreachable")
    await turns_until(lambda: bool(town.clock.sleepers))
    assert town.discovery.devices()[0].reason == "device at a:1 does not answer"
    with pytest.raises(NotReady, match=r"not usable: pim-0: device at a:1 does not answer"):
        town.discovery.check()
    town.answers["a:1"] = [device("pim-0")]
    town.clock.advance(RETRY_S)
    await town.until(pim_0="ready")


async def test_an_unreachable_device_that_announces_itself_again_is_asked_at_once(town: Town) -> None:
    town.announce("a:1", device("pim-0"))
    await town.until(pim_0="unreachable")
    await turns_until(lambda: bool(town.clock.sleepers))
    town.live("a:1", device("pim-0"))
    await town.until(pim_0="ready")


async def test_a_device_of_another_protocol_version_is_not_used_and_named(town: Town) -> None:
    town.answers["a:1"] = ProtocolMismatch("the peer speaks protocol version 2, this side 1; start both anew")
    town.announce("a:1", device("gpu-0", "gpu", "gpu"))
    await town.until(gpu_0="incompatible")
    assert town.discovery.present() == []
    with pytest.raises(NotReady, match=r"role gpu needs 1 .*gpu-0: the peer speaks protocol version 2"):
        town.discovery.check()


async def test_a_device_that_does_not_live_where_it_says_is_not_used(town: Town) -> None:
    town.answers["a:1"] = [device("somebody-else")]
    town.announce("a:1", device("pim-0"))
    await town.until(pim_0="unreachable")
    while town.asked == [] or "who answers" not in town.discovery.devices()[0].reason:
        await town.discovery._changed.wait()
    assert town.discovery.devices()[0].reason == "is not who answers at a:1"


async def test_a_device_that_comes_back_is_asked_who_it_is_now(town: Town) -> None:
    town.live("a:1", device("pim-0", version="1"))
    await town.until(pim_0="ready")
    town.announce("a:1", device("pim-0"), OFFLINE)
    await town.until(pim_0="offline")
    town.held = asyncio.Event()
    town.live("a:1", device("pim-0", version="2"))
    await town.until(pim_0="unreachable")
    town.held.set()
    await town.until(pim_0="ready")
    assert [description.version for _, description in town.discovery.present()] == ["2"]


async def test_asking_again_finds_who_died_silently(town: Town) -> None:
    town.live("a:1", device("pim-0"))
    town.live("a:2", device("pim-1"))
    await town.until(pim_0="ready", pim_1="ready")
    town.answers["a:1"] = Unreachable("device at a:1 does not answer")
    await town.discovery.recheck()
    assert town.states() == {"pim-0": "unreachable", "pim-1": "ready"}


@pytest.mark.parametrize("payload", [b"{", b"\xff\xfe", b"[]", b'{"device_id": "other", "state": "ready"}'])
async def test_presence_that_makes_no_sense_is_passed_over(town: Town, payload: bytes) -> None:
    town.bus.publish(device_topic("l3-mini", "pim-0"), payload, retain=True)
    town.live("a:1", device("pim-1"))
    await town.until(pim_1="ready")


async def test_devices_are_listed_by_number(town: Town) -> None:
    for number in (10, 9, 100):
        town.announce("a:1", device(f"pim-{number}"), OFFLINE)
    await town.until(pim_9="offline", pim_10="offline", pim_100="offline")
    assert [row.announced.device_id for row in town.discovery.devices()] == ["pim-9", "pim-10", "pim-100"]


async def test_a_real_device_is_asked_over_grpc() -> None:
    bus, fake = MemoryBus(), FakeDevice([Identity("pim-0", "dimm-00"), Identity("pim-1")])
    discovery = Discovery(bus, MINI, describe_soon, ManualClock())
    async with listening(discovery), DeviceServer(fake) as server:
        for description in fake.describe():
            presence = presence_of(description, server.address, READY, 1)
            bus.publish(device_topic("l3-mini", description.device_id), to_json(presence), retain=True)
        while len(discovery.present()) < 2:
            await discovery._changed.wait()
        assert [device for _, device in discovery.present()] == fake.describe()


async def test_a_real_address_where_nobody_listens_is_unreachable() -> None:
    bus, fake = MemoryBus(), FakeDevice([Identity("pim-0")])
    discovery = Discovery(bus, MINI, describe_soon, ManualClock())
    async with DeviceServer(fake) as server:
        gone = server.address
    async with listening(discovery):
        presence = presence_of(fake.describe()[0], gone, READY, 1)
        bus.publish(device_topic("l3-mini", "pim-0"), to_json(presence), retain=True)
        while not (discovery.devices() and "does not answer" in discovery.devices()[0].reason):
            await discovery._changed.wait()
        assert discovery.devices()[0].state == "unreachable"


async def test_an_address_that_the_machine_names_is_asked_without_an_announcement() -> None:
    town = Town()
    town.discovery = Discovery(town.bus, MINI_AT, town.describe, town.clock)
    town.answers["a:7"] = [device("silent", role="link", kind="interconnect")]
    async with listening(town.discovery):
        await town.until(silent="ready")
        assert [filled.slot for filled in town.discovery.assigned()] == ["link"]


async def test_an_address_that_does_not_answer_is_listed_and_asked_again() -> None:
    town = Town()
    town.discovery = Discovery(town.bus, MINI_AT, town.describe, town.clock)
    async with listening(town.discovery):
        await turns_until(lambda: bool(town.clock.sleepers))
        assert town.states() == {"a:7": "unreachable"}
        town.answers["a:7"] = [device("silent", role="link", kind="interconnect")]
        town.clock.advance(RETRY_S)
        await town.until(silent="ready")


async def test_who_announces_himself_from_a_named_address_is_there_once(town: Town) -> None:
    town.live("a:7", device("loud", role="link", kind="interconnect"))
    await town.until(loud="ready")
    await town.discovery.look(MINI_AT)
    town.discovery.change(MINI_AT)
    assert town.states() == {"loud": "ready"}


async def test_looking_at_an_address_where_nobody_answers_says_so(town: Town) -> None:
    with pytest.raises(Unreachable, match="device at a:7 does not answer"):
        await town.discovery.look(MINI_AT)
    town.discovery.change(MINI)
    assert town.states() == {}


async def test_who_leaves_and_was_of_no_use_is_forgotten(town: Town) -> None:
    town.live("a:1", device("strange", kind="hbm-pim"))
    await town.until(strange="ready")
    town.announce("a:1", device("strange", kind="hbm-pim"), OFFLINE)
    await town.until()

"""What all configured devices refuse alike; the devices' own tests show the messages."""

from dataclasses import replace

import pytest

from l3sim.device import ConfiguredDevice, Identity
from l3sim.errors import InvalidInput
from l3sim.ports import DeviceSession
from l3sim.specs.config import LinkConfig
from l3sim.work import Hello, Op, Role, SlotAssignment
from tests.services.builders import hello, machine


class Wire(ConfiguredDevice[LinkConfig]):
    """A link that opens no session."""

    role = Role.LINK
    kind = "interconnect"
    operations = (Op.TRANSFER_UP,)
    domains = ("up",)
    struct = LinkConfig
    shared_keys = frozenset({"overlap"})

    def open(self, hello: Hello) -> DeviceSession:
        raise AssertionError("no session is opened here")


HELLO = hello("link", machine(), "llama-2-7b", 1)


def slot(name: str, device: str) -> SlotAssignment:
    return replace(HELLO.slots[0], device_id=device, slot=name)


def test_overrides_stand_above_the_machine_for_their_own_device() -> None:
    wire = Wire([Identity("a"), Identity("b", "link", {"setup_us": 9.0})])
    configs = wire.settle(replace(HELLO, slots=(slot("link", "b"), slot("link-1", "a"))))
    assert [config.setup_us for config in configs] == [9.0, 1.0]
    assert [who.requested_slot for who in wire.describe()] == ["", "link"]


def test_two_devices_of_one_name() -> None:
    with pytest.raises(InvalidInput, match="two devices are called 'a'"):
        Wire([Identity("a"), Identity("a")])


def test_a_device_fills_one_slot() -> None:
    with pytest.raises(InvalidInput, match="'a' fills a slot already"):
        Wire([Identity("a")]).settle(replace(HELLO, slots=(slot("link", "a"), slot("link-1", "a"))))


def test_a_hello_for_nobody() -> None:
    with pytest.raises(InvalidInput, match="names no interconnect device"):
        Wire([Identity("a")]).settle(replace(HELLO, slots=()))

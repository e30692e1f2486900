"""The device under test: where it is, what it said of itself, and a Hello that it should take."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio

from l3sim import PROTOCOL_VERSION
from l3sim.conformance.talk import Talk
from l3sim.conformance.verdicts import Failed, Skipped
from l3sim.errors import InvalidInput
from l3sim.placement import Layout, layout_of
from l3sim.specs.attention import AttentionSection
from l3sim.specs.foreign import config_of
from l3sim.specs.machine import Machine, check_section
from l3sim.specs.model import ModelShape
from l3sim.specs.section import Section
from l3sim.v1 import device_pb2 as pb
from l3sim.work import DeviceDescription, Hello, Op, RankAssignment, Role, SlotAssignment

#: The first slot of each role.
SLOT = {Role.GPU.value: "gpu", Role.ATTENTION.value: "dimm-00", Role.LINK.value: "link"}
#: A key that no configuration has.
UNKNOWN_KEY = "no_such_key"


@dataclass(frozen=True)
class Subject:
    """One device at one address.

    Attributes:
        described: everything that the address says of itself.
        description: of the device that is asked.
        config: its slot section, exactly as a machine would say it.
        refused: why a machine could not say it; "": it can.
        section: of the machine, where that is of this kind.
        wait_s: wall-clock time that an answer may take.
        idle_s: how long a session is left waiting; 0: it is not.
    """

    address: str
    channel: grpc.aio.Channel
    described: pb.DescribeResponse
    description: DeviceDescription
    model: ModelShape
    layout: Layout
    config: dict[str, Any]
    refused: str
    section: Section | None
    wait_s: float
    idle_s: float

    @property
    def operations(self) -> frozenset[str]:
        """What it says that it can cost, of what falls to it: GPUs attend only where no other device does."""
        listed = frozenset(self.description.operations)
        elsewhere = self.description.role == Role.GPU and not self.layout.on_gpu
        return listed - {Op.ATTEND_DECODE} if elsewhere else listed

    @property
    def assignments(self) -> tuple[RankAssignment, ...]:
        """As of the machine's first device; of a kind that it has not, on rank 0, a rankset a domain."""
        if self.description.role != Role.ATTENTION:
            return ()
        if isinstance(self.section, AttentionSection):
            return tuple(RankAssignment(*one) for one in self.section.rank_assignments(self.layout, 0))
        ranksets = self.layout.ranksets
        return tuple(RankAssignment(0, j, 0, j >= ranksets) for j in range(len(self.description.domains)))

    def hello(self, **config: Any) -> Hello:
        """A Hello for this device alone, with keys of its configuration added or changed."""
        role = self.description.role
        slot = SlotAssignment(
            self.description.device_id, SLOT[role], {**self.config, **config}, self.assignments
        )
        return Hello(PROTOCOL_VERSION, "conformance", 7, self.model, self.layout, (slot,))

    def talk(self) -> Talk:
        """A session in which nothing has been said yet."""
        return Talk(self.channel, self.wait_s)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Talk]:
        """A session after Hello; dropped at the end, whatever its state."""
        async with self.talk() as talk:
            await talk.hello(self.hello())
            yield talk

    def needs_operation(self, *operations: Op) -> None:
        """Skip what asks for work that this device does not do.

        Raises:
            Skipped: it lists none of them.
        """
        if not self.operations & set(operations):
            raise Skipped(f"it costs none of {', '.join(operations)}")


def subject_of(
    address: str,
    channel: grpc.aio.Channel,
    described: pb.DescribeResponse,
    description: DeviceDescription,
    machine: Machine,
    model: ModelShape,
    config: Mapping[str, Any] | None,
    wait_s: float,
    idle_s: float,
) -> Subject:
    """Put together what the checks need to know.

    Args:
        config: None takes the machine's section of the device's role when that names the device's kind,
            else nothing. What is given is said as the section of a machine file would be.

    Raises:
        InvalidInput: `config` is no such section.
    """
    role, kind = description.role, description.kind
    section: Section | None = getattr(machine, role) if role in SLOT else None
    if section is not None and config is not None:
        section = check_section(role, {**config, "kind": kind}, "--config", foreign=True)
    elif section is not None and getattr(section, "kind", None) != kind:
        section = None
    values, refused = dict(config or {}), ""
    if section is not None:
        try:
            values = config_of(section, description.config_schema_json, machine.name)
        except InvalidInput as error:
            values, refused = section.values(), str(error)
    attention = section if isinstance(section, AttentionSection) else machine.attention
    # One replica of one GPU: what every device can play.
    layout = layout_of(attention, model, 1, 1)
    return Subject(
        address, channel, described, description, model, layout, values, refused, section, wait_s, idle_s
    )


def same(what: str, got: object, wanted: object) -> None:
    """Compare.

    Raises:
        Failed: they differ.
    """
    if got != wanted:
        raise Failed(f"{what} is {got!r}, must be {wanted!r}")

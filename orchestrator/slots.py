"""Who fills which slot: the one rule that display and engine share."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from l3sim.errors import NotReady
from l3sim.specs.machine import Machine
from l3sim.work import DeviceDescription, Role

#: Of those who cannot be used, a message names so many.
SHOWN = 3


class FilledSlot(NamedTuple):
    """A slot and who fills it."""

    slot: str
    role: str
    address: str
    device: DeviceDescription


class RoleCount(NamedTuple):
    """How many devices a role needs and has.

    Attributes:
        present: ready devices of the role and kind that the machine file names, spare ones included.
    """

    role: str
    kind: str
    needed: int
    present: int


def slot_names(machine: Machine, role: Role) -> list[str]:
    """The slots of a role, in the order in which they are filled: "gpu", "link", "dimm-00" and so on.

    GPUs that attend need nobody else.
    """
    if machine.placement == "gpu" and role is not Role.GPU:
        return []
    if role is Role.ATTENTION:
        return [f"dimm-{number:02d}" for number in range(machine.attention.modules)]
    return [role.value]


def count_roles(machine: Machine, present: Sequence[tuple[str, DeviceDescription]]) -> list[RoleCount]:
    """What each role needs and who is there."""
    return [
        RoleCount(
            role.value,
            _kind(machine, role),
            len(slot_names(machine, role)),
            len(_candidates(machine, role, present)),
        )
        for role in Role
    ]


def assign_slots(machine: Machine, present: Sequence[tuple[str, DeviceDescription]]) -> list[FilledSlot]:
    """Fill as many of the machine's slots as can be, in order, from the devices that are ready.

    Devices are taken by (requested slot, device id), those that ask for no slot last; numbers in either
    count as numbers, so that dimm-100 comes after dimm-99. Devices beyond the slots are spare.

    Args:
        present: (address, description) of every ready device, in any order.
    """
    return [
        FilledSlot(slot, role.value, address, device)
        for role in Role
        for slot, (address, device) in zip(
            slot_names(machine, role), _candidates(machine, role, present), strict=False
        )
    ]


def fill_slots(
    machine: Machine,
    present: Sequence[tuple[str, DeviceDescription]],
    left_out: Sequence[str] = (),
) -> list[FilledSlot]:
    """Fill all slots as `assign_slots` does.

    Args:
        left_out: who else announced themselves and why they cannot be used, for the message.

    Raises:
        NotReady: a role has too few devices of its kind; names role, needed and present.
    """
    lacking = [
        f"role {role} needs {needed} of kind {kind}, present {there}{_strangers(role, kind, present)}"
        for role, kind, needed, there in count_roles(machine, present)
        if there < needed
    ]
    if lacking:
        more = [f"and {len(left_out) - SHOWN} more"] if len(left_out) > SHOWN else []
        others = f" (not usable: {'; '.join([*left_out[:SHOWN], *more])})" if left_out else ""
        raise NotReady(f"machine {machine.name}: {'; '.join(lacking)}{others}; start what is missing")
    return assign_slots(machine, present)


def _kind(machine: Machine, role: Role) -> str:
    return str(machine.section(role.value)["kind"])


def _candidates(
    machine: Machine, role: Role, present: Sequence[tuple[str, DeviceDescription]]
) -> list[tuple[str, DeviceDescription]]:
    kind = _kind(machine, role)
    matching = [entry for entry in present if entry[1].role == role.value and entry[1].kind == kind]
    return sorted(matching, key=lambda entry: _place(entry[1]))


def _place(device: DeviceDescription) -> tuple[object, ...]:
    return device.requested_slot == "", natural(device.requested_slot), natural(device.device_id)


def natural(name: str) -> tuple[tuple[tuple[str, int], ...], str]:
    """A sort key under which runs of digits count as numbers: dimm-99 before dimm-100."""
    parts = re.findall(r"([^0-9]*)([0-9]{0,18})", name)
    return tuple((text, int(digits or 0)) for text, digits in parts), name


def _strangers(role: str, kind: str, present: Sequence[tuple[str, DeviceDescription]]) -> str:
    """Devices that are ready and of the role, but not of the kind that the machine file names."""
    others = sorted(
        f"{device.device_id} is {device.kind}"
        for _, device in present
        if device.role == role and device.kind != kind
    )
    return f", of another kind: {', '.join(others)}" if others else ""

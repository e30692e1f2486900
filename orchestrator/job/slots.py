"""Who fills which slot: the one rule that display and engine share."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from l3sim.errors import NotReady
from l3sim.placement import Layout
from l3sim.specs.choice import DEVICES, is_chosen
from l3sim.specs.machine import Machine
from l3sim.v1.bus_pb2 import Presence
from l3sim.work import BLOCK, DeviceDescription, Op, Role, needed_operations

#: Of the devices that cannot be used, a message names at most this many.
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
        present: ready devices of the role and kind, and of the ids, that the machine file names, spare ones
            included.
    """

    role: str
    kind: str
    needed: int
    present: int


def slot_names(machine: Machine, role: Role) -> list[str]:
    """The slots of a role, in the order in which they are filled: "gpu", "link", "dimm-00" and so on.

    GPUs that attend need no other device.
    """
    if machine.placement == "gpu" and role is not Role.GPU:
        return []
    if role is Role.ATTENTION:
        return [f"dimm-{number:02d}" for number in range(machine.attention.devices)]
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
    count as numbers, so that dimm-100 comes after dimm-99. Devices beyond the slots are spare; `fill_slots`
    refuses where it matters who is.

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
        NotReady: a role has too few devices of its kind; names role, needed and present. Or several devices
            contend for a role, or the GPUs must attend and do not list that; names them.
    """
    lacking = [
        f"role {role} needs {needed} of kind {kind}, present {there}{_others(machine, role, kind, present)}"
        for role, kind, needed, there in count_roles(machine, present)
        if there < needed
    ]
    if lacking:
        more = [f"and {len(left_out) - SHOWN} more"] if len(left_out) > SHOWN else []
        others = f" (not usable: {'; '.join([*left_out[:SHOWN], *more])})" if left_out else ""
        remedy = "start what is missing"
        if any("another kind" in text for text in lacking):
            remedy += ", or use a machine file that asks for that kind"
        raise NotReady(f"machine {machine.name}: {'; '.join(lacking)}{others}; {remedy}")
    for role in Role:
        _check_contest(machine, role, _candidates(machine, role, present))
    filled = assign_slots(machine, present)
    for slot in filled:
        _check_operations(machine, slot)
    return filled


def _check_contest(machine: Machine, role: Role, candidates: Sequence[tuple[str, DeviceDescription]]) -> None:
    """Refuse more devices than slots where it matters who is spare: never chosen at random.

    Modules that describe themselves alike may have spares; of a GPU side and of a link there is one.
    """
    slots = len(slot_names(machine, role))
    alike = len({_nature(device) for _, device in candidates}) == 1
    if not slots or len(candidates) <= slots or (role is Role.ATTENTION and alike):
        return
    names = sorted((device.device_id for _, device in candidates), key=natural)
    shown = ", ".join(names[: slots + SHOWN]) if slots <= SHOWN else f"{names[0]} ... {names[-1]}"
    raise NotReady(
        f"machine {machine.name}: role {role} has {slots} slot{'s' * (slots > 1)}, and {len(names)} devices "
        f"of kind {_kind(machine, role)} contend for it: {shown}; stop some, or name in the machine file who "
        f"fills it ({DEVICES}.{role}: ID)"
    )


def _check_operations(machine: Machine, slot: FilledSlot) -> None:
    """Refuse a device that cannot do what no other device of this machine does."""
    device = slot.device
    lacking = sorted(needed_operations(slot.role, machine.placement) - set(device.operations))
    if not lacking:
        return
    why = f", and on {machine.name} the GPUs attend" if Op.ATTEND_DECODE in lacking else ""
    if slot.role == Role.ATTENTION:
        why = ""
    raise NotReady(
        f"{slot.slot}: {device.device_id} of kind {device.kind} does not list {', '.join(lacking)}{why}; "
        "use a device that does, or a machine with attention devices"
    )


def check_layout(slots: Sequence[FilledSlot], layout: Layout) -> None:
    """Refuse devices that cannot do what a job's layout asks for: KV in stripes, GPUs beside modules.

    Raises:
        NotReady: names the first.
    """
    for slot in slots:
        device = slot.device
        lacking = sorted(needed_operations(slot.role, layout.decode) - set(device.operations))
        if lacking:
            raise NotReady(
                f"{slot.slot}: {device.device_id} of kind {device.kind} does not list {', '.join(lacking)}, "
                "and the job's GPUs attend beside modules; use one that does, or scheduler.gpu_kv_share: 0"
            )
        if layout.striped and BLOCK not in device.partitions:
            raise NotReady(
                f"{slot.slot}: {device.device_id} of kind {device.kind} does not list partition "
                f"{BLOCK!r}, KV in stripes over ranks; use one that does, or attention.partition: head"
            )


def _nature(device: DeviceDescription) -> DeviceDescription:
    """What a device says of itself, but for who it is and where it would like to be."""
    return replace(device, device_id="", requested_slot="")


def _kind(machine: Machine, role: Role) -> str:
    return str(machine.section(role.value)["kind"])


def _candidates(
    machine: Machine, role: Role, present: Sequence[tuple[str, DeviceDescription]]
) -> list[tuple[str, DeviceDescription]]:
    matching = [
        (address, device)
        for address, device in present
        if device.role == role and is_wanted(machine, device, address)
    ]
    return sorted(matching, key=lambda entry: _place(entry[1]))


def _place(device: DeviceDescription) -> tuple[object, ...]:
    return device.requested_slot == "", natural(device.requested_slot), natural(device.device_id)


def is_wanted(machine: Machine, device: DeviceDescription | Presence, address: str) -> bool:
    """Whether a device is of the kind, and of the ids, that a machine file names for its role."""
    return (
        device.role in list(Role)
        and device.kind == _kind(machine, Role(device.role))
        and is_chosen(machine.devices.get(device.role), device.device_id, address)
    )


def natural(name: str) -> tuple[tuple[tuple[str, int], ...], str]:
    """A sort key under which runs of digits count as numbers: dimm-99 before dimm-100."""
    parts = re.findall(r"([^0-9]*)([0-9]{0,18})", name)
    return tuple((text, int(digits or 0)) for text, digits in parts), name


def _others(machine: Machine, role: str, kind: str, present: Sequence[tuple[str, DeviceDescription]]) -> str:
    """Who is ready and nearly right: of the role, but of another kind; or chosen, but of another role."""
    choice = machine.devices.get(role)
    strange = sorted(
        f"{device.device_id} is {device.kind}"
        for _, device in present
        if device.role == role and device.kind != kind
    )
    misplaced = sorted(
        f"{device.device_id} is for role {device.role}"
        for address, device in present
        if choice is not None and device.role != role and is_chosen(choice, device.device_id, address)
    )
    text = f", chosen by {DEVICES}.{role}: {choice}" if choice is not None else ""
    if strange:
        text += f", of another kind: {', '.join(strange)}"
    return f"{text}, but {', '.join(misplaced)}" if misplaced else text

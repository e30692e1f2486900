"""The steps of a swap. Jobs that run or wait refuse it; until the last step but one nothing has changed.

no job? ── start the new devices ── they are there ── ChangeMachine ── stop the old ones
                    └───────── whatever is refused on the way stops the new ones again
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ruamel.yaml import YAML

from l3sim.clients.client import Client
from l3sim.clients.endings import ENDED
from l3sim.errors import NotReady, Unreachable
from l3sim.launch.swap.provisioner import NewDevices, Provisioner
from l3sim.launch.swap.request import SwapRequest
from l3sim.launch.swap.target import chosen, target_of
from l3sim.orchestrator.control.machine_change import refuse_busy
from l3sim.orchestrator.job.slots import slot_names
from l3sim.orchestrator.report.artifacts import describe_machine
from l3sim.specs.choice import is_chosen
from l3sim.specs.machine import Machine, machine_from
from l3sim.v1 import machine_pb2
from l3sim.work import Role

#: Wall seconds from a device's start to its announcement; containers start slowly.
ARRIVE_S = 120.0
POLL_S = 0.2


@dataclass(frozen=True)
class Swapped:
    """What a swap did."""

    role: Role
    before: Machine
    after: Machine


async def swap(request: SwapRequest, provisioner: Provisioner) -> Swapped:
    """Swap the devices of one role.

    Raises:
        NotReady: a job has not ended, or the new devices do not come or do not do; the old ones are in place.
        InvalidInput: what was asked for cannot be, or a new device refuses its configuration; likewise.
        Unreachable: no device answers at an address, or no orchestrator does.
    """
    async with Client(provisioner.address) as client:
        refuse_busy([job.job_id for job in reversed(await client.jobs()) if job.state not in ENDED])
        yaml = YAML(typ="safe", pure=True).load((await client.machine()).resolved_yaml)
        # Whoever answers there may name any file; it is not run here because of that.
        known = await asyncio.to_thread(provisioner.files)
        running = await asyncio.to_thread(machine_from, yaml, provisioner.address, known)
        target = await asyncio.to_thread(target_of, request, running)  # it may run a file
        new_devices = _newcomers(request, running, target, await client.devices())
        choices = {new.role.value: new.tag for new in new_devices}
        if request.address:
            choices[request.role.value] = request.address
        target = chosen(target, choices)
        if target.files:
            await provisioner.name(list(target.files.values()))
        try:
            await provisioner.start(new_devices)
            for new in new_devices:
                await _arrived(client, provisioner, new)
            await _change(client, request, target)
        except BaseException:
            await provisioner.undo()
            raise
        await provisioner.retire(request.role)
        return Swapped(request.role, running, target)


async def _change(client: Client, request: SwapRequest, target: Machine) -> None:
    try:
        await client.change_machine(describe_machine(target))
    except Unreachable as error:
        if not request.address:
            raise
        raise NotReady(f"{error}; start the device there first, or give another address") from None


def _newcomers(
    request: SwapRequest, running: Machine, target: Machine, devices: Sequence[machine_pb2.DeviceState]
) -> list[NewDevices]:
    """Who is to be started: the role's, and those of roles that the machine had no slots for until now."""
    found = []
    for role in Role:
        swapped = role is request.role and not request.address
        if not slot_names(target, role) or not (swapped or _new_role(role, running, target, devices)):
            continue
        image = request.image if role is request.role else ""
        kind = role.value if image else str(target.section(role)["kind"])
        found.append(NewDevices(role, target, image, free_tag(kind, devices)))
    return found


def _new_role(
    role: Role, running: Machine, target: Machine, devices: Sequence[machine_pb2.DeviceState]
) -> bool:
    if slot_names(running, role):
        return False
    kind = target.section(role)["kind"]
    there = [one for one in devices if (one.role, one.kind, one.state) == (role, kind, "ready")]
    return len(there) < len(slot_names(target, role))


def free_tag(kind: str, devices: Sequence[machine_pb2.DeviceState]) -> str:
    """What no id begins with yet: KIND-swap-1, KIND-swap-2, ...

    Such ids come after those of a composition, KIND-HEX..., so that until they are chosen they are spares: a
    job that is accepted meanwhile has the old devices only.
    """
    number = 1
    while any(is_chosen(f"{kind}-swap-{number}", one.device_id, one.address) for one in devices):
        number += 1
    return f"{kind}-swap-{number}"


async def _arrived(client: Client, provisioner: Provisioner, new: NewDevices) -> None:
    """Wait until all of them are ready."""
    wanted = len(slot_names(new.machine, new.role))
    there: list[str] = []
    try:
        async with asyncio.timeout(ARRIVE_S):
            while len(there) < wanted:
                await provisioner.check()
                there = [
                    one.device_id
                    for one in await client.devices()
                    if one.state == "ready" and is_chosen(new.tag, one.device_id, one.address)
                ]
                await asyncio.sleep(POLL_S if len(there) < wanted else 0)
    except TimeoutError:
        raise NotReady(
            f"{len(there)} of {wanted} devices of role {new.role} announced themselves within "
            f"{ARRIVE_S:.0f} s with ids {new.tag} or {new.tag}-...; a device takes its id from --id or $L3_ID"
        ) from None

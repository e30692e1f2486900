"""Which machine a swap makes of the one that runs.

A machine file says what a kind of device is like, so a swap to another kind is a change to another machine:
the one that `--machine` names; else the one that runs, when it has that kind already; else the only shipped
one with the same GPUs that has it. Several or none are refused by name, never chosen at random.
"""

from collections.abc import Mapping
from dataclasses import replace

from l3sim.errors import InvalidInput
from l3sim.launch.swap.order import Order
from l3sim.orchestrator.job.slots import slot_names
from l3sim.specs.catalog import load_machine, machine_names
from l3sim.specs.machine import Machine
from l3sim.work import Role


def target_of(order: Order, running: Machine) -> Machine:
    """The machine after the swap; who fills the swapped role is yet to be chosen.

    Raises:
        InvalidInput: no machine, several, one with another kind in this role or than runs in the others, or
            one without a slot for the role.
    """
    target = _named(order) if order.machine else _found(order, running)
    where = order.machine or target.name
    kind = target.section(order.role)["kind"]
    if order.kind and kind != order.kind:
        text = f"{where} has kind {kind} in {order.role}, not {order.kind}; name another machine"
        raise InvalidInput(("--machine", text))
    for role in Role:
        if role is order.role or not slot_names(target, role) or not slot_names(running, role):
            continue
        now, then = (machine.section(role)["kind"] for machine in (running, target))
        if now != then:
            text = (
                f"{where} has kind {then} in {role}, and {running.name}, which runs, {now}; swap {role} first"
            )
            raise InvalidInput(("--machine", text))
    if not slot_names(target, order.role) and (order.role, kind) != (Role.ATTENTION, "gpu"):
        text = f"{where} has no slot for it: its GPUs attend; swap attention first"
        raise InvalidInput((order.role, text))
    # Who was chosen for the other roles stays; for this one the swap chooses.
    others = {role: choice for role, choice in running.devices.items() if role != order.role}
    named = {role: choice for role, choice in target.devices.items() if role != order.role}
    return replace(target, devices={**named, **others})


def chosen(machine: Machine, choices: Mapping[str, str]) -> Machine:
    """The same machine with these devices in these roles."""
    return replace(machine, devices={**machine.devices, **choices})


def _named(order: Order) -> Machine:
    # A stranger's kind is taken where its device is named, which this swap does.
    return load_machine(order.machine, devices={order.role.value: order.address or order.role.value})


def _found(order: Order, running: Machine) -> Machine:
    if not order.kind or running.section(order.role)["kind"] == order.kind:
        return running
    fitting = [
        machine
        for machine in map(load_machine, machine_names())
        if machine.section(order.role)["kind"] == order.kind
        and machine.section(Role.GPU) == running.section(Role.GPU)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        why = f"several machines have it: {', '.join(machine.name for machine in fitting)}; say which:"
    else:
        why = (
            f"no shipped machine has it beside the GPUs of {running.name}; write one that extends it and say"
        )
    raise InvalidInput(("--with", f"{order.kind} in {order.role}: {why} --machine NAME|FILE"))

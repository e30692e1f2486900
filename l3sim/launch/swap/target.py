"""Which machine a swap makes of the one that runs.

A machine file says what a kind of device is like, so a swap to another kind is a change to another machine:
the one that `--machine` names; else the one that runs, when it has that kind already; else the only shipped
one with the same GPUs that has it. Several or none are refused by name, never chosen at random.
"""

from collections.abc import Mapping
from dataclasses import replace

from l3sim.errors import InvalidInput
from l3sim.launch.swap.request import SwapRequest
from l3sim.orchestrator.job.slots import slot_names
from l3sim.specs.catalog import load_machine, machine_names
from l3sim.specs.machine import Machine, machine_from
from l3sim.work import Role


def target_of(request: SwapRequest, running: Machine) -> Machine:
    """The machine after the swap; who fills the swapped role is yet to be chosen.

    Raises:
        InvalidInput: no machine, several, one with another kind in this role or than runs in the others, or
            one without a slot for the role.
    """
    target = _named(request) if request.machine else _found(request, running)
    where = request.machine or target.name
    kind = target.section(request.role)["kind"]
    if request.kind and kind != request.kind:
        text = f"{where} has kind {kind} in {request.role}, not {request.kind}; name another machine"
        raise InvalidInput(("--machine", text))
    for role in Role:
        if role is request.role or not slot_names(target, role) or not slot_names(running, role):
            continue
        now, then = (machine.section(role)["kind"] for machine in (running, target))
        if now != then:
            text = (
                f"{where} has kind {then} in {role}, and {running.name}, which runs, {now}; swap {role} first"
            )
            raise InvalidInput(("--machine", text))
    if not slot_names(target, request.role) and (request.role, kind) != (Role.ATTENTION, "gpu"):
        text = f"{where} has no slot for it: its GPUs attend; swap attention first"
        raise InvalidInput((request.role, text))
    if request.kind and target.kind_said(request.role) != (said := request.file or request.kind):
        target = _with_kind(target, request.role, said)
    # Who was chosen for the other roles stays; for this one the swap chooses.
    others = {role: choice for role, choice in running.devices.items() if role != request.role}
    named = {role: choice for role, choice in target.devices.items() if role != request.role}
    return replace(target, devices={**named, **others})


def chosen(machine: Machine, choices: Mapping[str, str]) -> Machine:
    """The same machine with these devices in these roles."""
    return replace(machine, devices={**machine.devices, **choices})


def _with_kind(machine: Machine, role: Role, said: str) -> Machine:
    """The same machine with another class of its kind: two files, or a file and a package, may have one."""
    raw = machine.resolved()
    raw[role]["kind"]["value"] = said
    return machine_from(raw, machine.name)


def _named(request: SwapRequest) -> Machine:
    # A stranger's kind is taken where its device is named, which this swap does.
    return load_machine(request.machine, devices={request.role.value: request.address or request.role.value})


def _found(request: SwapRequest, running: Machine) -> Machine:
    if not request.kind or running.section(request.role)["kind"] == request.kind:
        return running
    fitting = [
        machine
        for machine in map(load_machine, machine_names())
        if machine.section(request.role)["kind"] == request.kind
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
    raise InvalidInput(("--with", f"{request.kind} in {request.role}: {why} --machine NAME|FILE"))

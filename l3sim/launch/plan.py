"""Which device processes a machine needs, and who lives in each: from the machine file and the options."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from l3sim.device import Identity
from l3sim.errors import InvalidInput
from l3sim.kinds import device_class, made, offered, target_of
from l3sim.orchestrator.job.slots import slot_names
from l3sim.ports import Device
from l3sim.registry import unknown
from l3sim.specs.catalog import parse_value
from l3sim.specs.machine import Machine, check_section
from l3sim.transport.serve import SERVE
from l3sim.work import Role

#: A machine's name becomes a folder and a level of a bus topic.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Keys of a section that belong to the machine as a whole, never to one device of it.
_WHOLE = {"kind", "modules", "gpus", "type"}

#: Overrides by slot: {"dimm-07": {"ccd_l_tck": 16}}.
Overrides = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class DeviceProcess:
    """A process that hosts the devices of successive slots of one role.

    Attributes:
        target: where the class of its devices is: "module:Class", or a file.
        slots: what its devices ask for, in order.
        tag: of new_devices beside others with the same slots: what its ids and its name begin with. They ask
            for no slot, so that they are spares until a swap chooses them.
    """

    role: Role
    target: str
    slots: tuple[str, ...]
    overrides: Overrides = field(default_factory=dict)
    tag: str = ""

    @property
    def name(self) -> str:
        """The slot, or for several "dimm-00..07"."""
        first, last = self.slots[0], self.slots[-1]
        return self._tagged(first if first == last else f"{first}..{last.rpartition('-')[2]}")

    def command(self, machine: str, bus: str) -> list[str]:
        """Its command line, after the interpreter."""
        command = [*SERVE, self.target, "--machine", machine, "--bus", bus, "--listen", "127.0.0.1:0"]
        command += ["--id", self.prefix, "--devices", str(len(self.slots))]
        if not self.tag:
            command += ["--slot", self.slots[0]]
        for slot, values in self.overrides.items():
            for key, value in values.items():
                command += ["--override", f"{slot}.{key}={json.dumps(value)}"]
        return [*command, "--lifeline"]

    def device(self) -> Device:
        """Its devices as the process would make them, in this process.

        Raises:
            InvalidInput: the class cannot be had or fails, or one device cannot differ from the others in
                what an override names.
        """
        return cast(Device, made(device_class(self.target), self.identities))

    @property
    def prefix(self) -> str:
        """What its device ids begin with."""
        first, last = self.slots[0], self.slots[-1]
        return self._tagged(first if first == last else f"{first}-to-{last}")

    @property
    def identities(self) -> list[Identity]:
        """Who its devices are."""
        return [
            Identity(
                self.prefix if len(self.slots) == 1 else f"{self.prefix}-{number}",
                "" if self.tag else slot,
                self.overrides.get(slot, {}),
            )
            for number, slot in enumerate(self.slots)
        ]

    def _tagged(self, name: str) -> str:
        return f"{self.tag}-{name}" if self.tag else name


def plan_devices(
    machine: Machine, modules_per_process: int = 1, overrides: Sequence[str] = ()
) -> list[DeviceProcess]:
    """Share a machine's slots out to processes: GPU and link one each, modules packed, strangers' kinds none.

    Args:
        overrides: `slot.key=value` for single devices ("dimm-07.ccd_l_tck=16").

    Raises:
        InvalidInput: an unknown slot or key, a value that is refused, or a machine's name that is.
    """
    if not _NAME.fullmatch(machine.name):
        raise InvalidInput(
            ("name", f"must be 1 to 64 letters, digits, '.', '_' or '-', got {machine.name!r}")
        )
    if not 1 <= modules_per_process <= 4096:
        raise InvalidInput(("modules-per-process", f"must be 1 to 4096, got {modules_per_process}"))
    by_slot = parse_overrides(machine, overrides)
    processes = []
    for role in Role:
        for process in processes_of(machine, role, modules_per_process):
            mine = {slot: by_slot[slot] for slot in process.slots if slot in by_slot}
            if mine:
                process = replace(process, overrides=mine)
                process.device()  # refuses here what would else end a process at its start
            processes.append(process)
    return processes


def refuse_absent(machine: Machine) -> None:
    """Refuse a machine with a kind whose class is not at hand, where all devices live in one process.

    Raises:
        InvalidInput: naming the kind.
    """
    for role in Role:
        if slot_names(machine, role) and not offered(machine.kind_said(role)):
            text = (
                f"no package here offers {machine.kind_said(role)!r} of {machine.name}, so it cannot run in "
                "this process: say kind: ./FILE.py, install its package, or use ./l3 up"
            )
            raise InvalidInput((f"{role}.kind", text))


def processes_of(machine: Machine, role: Role, size: int, tag: str = "") -> list[DeviceProcess]:
    """The processes of one role, with `size` modules in each; none where its kind's class is not at hand.

    Raises:
        InvalidInput: two packages offer the kind.
    """
    kind, slots = machine.kind_said(role), slot_names(machine, role)
    if not slots or not offered(kind):
        return []
    try:
        target = target_of(kind)
    except InvalidInput as error:
        raise InvalidInput((f"{role}.kind", f"{machine.name}: {error.violations[0][1]}")) from None
    size = size if role is Role.ATTENTION else 1
    groups = [tuple(slots[first : first + size]) for first in range(0, len(slots), size)]
    return [DeviceProcess(role, target, group, tag=tag) for group in groups]


def parse_overrides(machine: Machine, texts: Sequence[str]) -> Overrides:
    """Read and check `slot.key=value`.

    Raises:
        InvalidInput: naming what is refused.
    """
    sections = {slot: role.value for role in Role for slot in slot_names(machine, role)}
    overrides: dict[str, dict[str, Any]] = {}
    for text in texts:
        path, equals, value_text = text.partition("=")
        slot, dot, key = path.partition(".")
        if not (equals and dot and value_text.strip()):
            raise InvalidInput(("override", f"must be slot.key=value, got {text!r}"))
        if slot not in sections:
            raise InvalidInput(("override", unknown("slot", slot, list(sections))))
        section = {**machine.section(sections[slot]), "kind": machine.kind_said(sections[slot])}
        if key not in section or key in _WHOLE:
            raise InvalidInput((path, unknown("key", key, sorted(section.keys() - _WHOLE))))
        value = parse_value(path, value_text)
        check_section(
            sections[slot], {**section, key: value}, f"--override {slot}", sections[slot] in machine.devices
        )
        overrides.setdefault(slot, {})[key] = value
    return overrides

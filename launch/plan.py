"""Which device processes a machine needs, and who lives in each: from the machine file and the options."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from l3sim.device import Identity
from l3sim.errors import InvalidInput
from l3sim.ports import Device
from l3sim.registry import unknown
from l3sim.specs.catalog import parse_value
from l3sim.specs.machine import Machine, check_section
from l3sim.work import Role
from orchestrator.slots import slot_names
from services.cpu_attention.servicer import CpuAttentionDevice
from services.dimm_pim.servicer import DimmPimDevice
from services.gpu.servicer import GpuDevice
from services.hbm_pim.servicer import HbmPimDevice
from services.interconnect.servicer import InterconnectDevice

#: By device kind: the package that runs as a process, and the class that it serves.
SERVICES: dict[str, tuple[str, Callable[[Sequence[Identity]], Device]]] = {
    "gpu": ("services.gpu", GpuDevice),
    "dimm-pim": ("services.dimm_pim", DimmPimDevice),
    "hbm-pim": ("services.hbm_pim", HbmPimDevice),
    "cpu-attention": ("services.cpu_attention", CpuAttentionDevice),
    "interconnect": ("services.interconnect", InterconnectDevice),
}
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
        name: the slot, or for several "dimm-00..07".
        slots: what its devices ask for, in order.
    """

    name: str
    kind: str
    slots: tuple[str, ...]
    overrides: Overrides = field(default_factory=dict)

    def command(self, machine: str, bus: str) -> list[str]:
        """Its command line, after the interpreter."""
        command = [
            "-m",
            SERVICES[self.kind][0],
            "--machine",
            machine,
            "--bus",
            bus,
            "--listen",
            "127.0.0.1:0",
        ]
        command += ["--id", self.prefix, "--devices", str(len(self.slots)), "--slot", self.slots[0]]
        for slot, values in self.overrides.items():
            for key, value in values.items():
                command += ["--override", f"{slot}.{key}={json.dumps(value)}"]
        return [*command, "--lifeline"]

    def device(self) -> Device:
        """Its devices as the process would make them, in this process.

        Raises:
            InvalidInput: one device cannot differ from the others in what an override names.
        """
        return SERVICES[self.kind][1](self.identities)

    @property
    def prefix(self) -> str:
        """What its device ids begin with."""
        return self.slots[0] if len(self.slots) == 1 else f"{self.slots[0]}-to-{self.slots[-1]}"

    @property
    def identities(self) -> list[Identity]:
        """Who its devices are."""
        return [
            Identity(
                self.prefix if len(self.slots) == 1 else f"{self.prefix}-{number}",
                slot,
                self.overrides.get(slot, {}),
            )
            for number, slot in enumerate(self.slots)
        ]


def plan_devices(
    machine: Machine, modules_per_process: int = 1, overrides: Sequence[str] = ()
) -> list[DeviceProcess]:
    """Share a machine's slots out to processes: GPU and link one each, modules packed.

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
        slots = slot_names(machine, role)
        size = modules_per_process if role is Role.ATTENTION else 1
        for first in range(0, len(slots), size):
            here = tuple(slots[first : first + size])
            name = here[0] if len(here) == 1 else f"{here[0]}..{here[-1].rpartition('-')[2]}"
            mine = {slot: by_slot[slot] for slot in here if slot in by_slot}
            process = DeviceProcess(name, machine.section(role.value)["kind"], here, mine)
            if mine:
                process.device()  # refuses here what would else end a process at its start
            processes.append(process)
    return processes


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
        section = machine.section(sections[slot])
        if key not in section or key in _WHOLE:
            raise InvalidInput((path, unknown("key", key, sorted(section.keys() - _WHOLE))))
        value = parse_value(path, value_text)
        check_section(sections[slot], {**section, key: value}, f"--override {slot}")
        overrides.setdefault(slot, {})[key] = value
    return overrides

"""The command line of a device process, the same for every kind. argparse only: it starts 32 times."""

import json
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l3sim.device import Identity
from l3sim.errors import InvalidInput
from l3sim.transport.lifetime import LOG_LEVELS, OneLineParser, complain, host_and_port

MAX_DEVICES = 4096


@dataclass(frozen=True)
class DeviceArguments:
    """What a device process was told.

    Attributes:
        machine: name in the bus topics.
        bus: HOST:PORT of the broker; "" announces nothing.
        advertise: host that peers use; "" means the one listened at.
    """

    machine: str
    bus: str
    listen: str
    advertise: str
    identities: tuple[Identity, ...]
    health_file: Path | None
    lifeline: bool
    log_level: str


def parse_device_arguments(role: str, kind: str, argv: Sequence[str]) -> DeviceArguments | None:
    """Parse a device's command line; None after a refusal, which is said on stderr."""
    try:
        return _arguments(role, kind, argv)
    except InvalidInput as error:
        complain(error)
        return None


def _arguments(role: str, kind: str, argv: Sequence[str]) -> DeviceArguments:
    parser = OneLineParser(description=f"Serves {kind} devices (role {role}) of a virtual L3 machine.")
    env = os.environ
    add = parser.add_argument
    add("--machine", default=env.get("L3_MACHINE", "l3"), help="name in bus topics ($L3_MACHINE)")
    add("--bus", default=env.get("L3_BUS", ""), help="HOST:PORT of the MQTT broker ($L3_BUS); none: silent")
    add("--listen", default=env.get("L3_LISTEN", "127.0.0.1:0"), help="HOST:PORT ($L3_LISTEN); 0: any free")
    add("--advertise", default="", help="host that the orchestrator should use")
    add("--id", default=env.get("L3_ID", ""), help="device id ($L3_ID); with --devices a prefix")
    add("--devices", type=int, default=env.get("L3_DEVICES") or 1, help="of this process ($L3_DEVICES)")
    add("--slot", default="", help="slot that the first device would like, as dimm-08; others follow")
    add("--override", action="append", default=[], metavar="[SLOT.]KEY=VALUE", help="above the machine file")
    add("--health-file", type=Path, default=env.get("L3_HEALTH_FILE") or None, help="exists while serving")
    add("--lifeline", action="store_true", help="stop when stdin ends")
    add("--log-level", choices=LOG_LEVELS, default="info")
    given = parser.parse_args(argv)
    if not re.fullmatch(r"[\w.-]+", given.machine):
        raise InvalidInput(("machine", f"must be a plain name, without / + #, got {given.machine!r}"))
    if given.bus:
        host_and_port(given.bus, "bus")
    host_and_port(given.listen, "listen")
    # Unique on a computer, and the same again when a container starts again.
    prefix = given.id or f"{kind}-{socket.gethostname()}-{os.getpid()}"
    if not re.fullmatch(r"[\w.-]+", prefix):
        raise InvalidInput(("id", f"must be a plain name, without / + #, got {prefix!r}"))
    return DeviceArguments(
        machine=given.machine,
        bus=given.bus,
        listen=given.listen,
        advertise=given.advertise,
        identities=identities_of(prefix, given.devices, given.slot, given.override),
        health_file=given.health_file,
        lifeline=given.lifeline,
        log_level=given.log_level,
    )


def identities_of(prefix: str, devices: int, slot: str, overrides: Sequence[str]) -> tuple[Identity, ...]:
    """Who lives in a process.

    Args:
        prefix: the id of a single device, else PREFIX-0, PREFIX-1, ...
        slot: requested by the first device, the others ask for the following ones; "" for none.
        overrides: `key=value` for all or `slot.key=value` for one; values are JSON scalars or words.

    Raises:
        InvalidInput: a count, slot or override that cannot be read.
    """
    if not 1 <= devices <= MAX_DEVICES:
        raise InvalidInput(("devices", f"must be 1 to {MAX_DEVICES}, got {devices}"))
    slots = _slots(slot, devices)
    values: list[dict[str, Any]] = [{} for _ in range(devices)]
    for text in overrides:
        path, equals, value = text.partition("=")
        wanted, _, key = path.rpartition(".")
        if not (equals and key and value):
            raise InvalidInput(("override", f"must be [SLOT.]KEY=VALUE, got {text!r}"))
        if wanted and wanted not in slots:
            asked = ", ".join(filter(None, slots)) or "none, give --slot"
            raise InvalidInput(("override", f"no device here asks for slot {wanted!r} (there are: {asked})"))
        for index in range(devices):
            if not wanted or slots[index] == wanted:
                values[index][key] = _scalar(value, text)
    ids = [prefix] if devices == 1 else [f"{prefix}-{index}" for index in range(devices)]
    return tuple(map(Identity, ids, slots, values))


def _slots(first: str, devices: int) -> list[str]:
    if not first or devices == 1:
        return [first] * devices
    match = re.fullmatch(r"(.*?)(\d+)", first)
    if match is None:
        text = f"must end in a number when the process has several devices, got {first!r}"
        raise InvalidInput(("slot", text))
    name, number = match.groups()
    return [f"{name}{int(number) + index:0{len(number)}d}" for index in range(devices)]


def _scalar(text: str, where: str) -> Any:
    """A JSON scalar, else the word itself (`off`, `command`)."""
    try:
        value = json.loads(text, parse_constant=lambda word: word)
    except ValueError:
        return text
    if isinstance(value, dict | list):
        raise InvalidInput(("override", f"must be one value, got {where!r}"))
    return value

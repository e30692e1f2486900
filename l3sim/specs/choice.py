"""Who fills a role where a machine file says so:

    devices:
      link: flat-link          the device of that id, or those whose ids begin with `flat-link-`
      attention: 10.0.0.7:7601 the devices at that address, whether or not they announce themselves

Roles that it does not name are filled by any device that announces the kind of their section.
"""

import re
from collections.abc import Mapping
from typing import Any

from l3sim.errors import InvalidInput
from l3sim.registry import unknown

#: Key of a machine file.
DEVICES = "devices"
ROLES = ("gpu", "attention", "link")
_ADDRESS = re.compile(r"[^\s/:]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")
_ID = re.compile(r"[\w.-]+")


def is_address(text: str) -> bool:
    """Whether a choice is HOST:PORT rather than an id."""
    return bool(_ADDRESS.fullmatch(text)) and int(text.rpartition(":")[2]) < 65536


def check_choice(raw: Any, where: str) -> dict[str, str]:
    """Check the `devices` of a machine file.

    Raises:
        InvalidInput: naming `devices.role`.
    """
    if not isinstance(raw, dict):
        text = f"must be a mapping of {', '.join(ROLES)} to an id or HOST:PORT"
        raise InvalidInput((DEVICES, f"{where}: {text}"))
    for role, choice in raw.items():
        if role not in ROLES:
            raise InvalidInput((DEVICES, f"{where}: {unknown('role', str(role), list(ROLES))}"))
        if not (isinstance(choice, str) and (is_address(choice) or _ID.fullmatch(choice))):
            text = f"{where}: must be a device id or HOST:PORT, got {choice!r}"
            raise InvalidInput((f"{DEVICES}.{role}", text))
    return dict(raw)


def is_chosen(choice: str | None, device_id: str, address: str) -> bool:
    """Whether a device is one of those that a choice names; no choice names all."""
    if choice is None:
        return True
    if is_address(choice):
        return address == choice
    return device_id == choice or device_id.startswith(f"{choice}-")


def addresses(devices: Mapping[str, str]) -> list[str]:
    """The addresses among the choices."""
    return sorted({choice for choice in devices.values() if is_address(choice)})

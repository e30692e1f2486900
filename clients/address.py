"""Where the machine answers: --address, $L3_ADDRESS, the machine of `up`, or the port of compose."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from l3sim.errors import InvalidInput
from l3sim.places import state_folder

#: Published by docker-compose.yml.
DEFAULT_ADDRESS = "127.0.0.1:7600"


def find_address(option: str | None, environment: Mapping[str, str]) -> str:
    """The first address that was given, checked for its form, not for what answers.

    Raises:
        InvalidInput: an address is no HOST:PORT, or the state of `up` is damaged.
    """
    if option is not None:
        return _checked("--address", option)
    if given := environment.get("L3_ADDRESS"):
        return _checked("L3_ADDRESS", given)
    state = state_folder(environment) / "up.json"
    return _of_up(state) if state.is_file() else DEFAULT_ADDRESS


def _of_up(state: Path) -> str:
    try:
        content = json.loads(state.read_text(encoding="utf-8"))
        address, pid = str(content["address"]), int(content["pid"])
    except (ValueError, KeyError, TypeError, OSError):
        raise InvalidInput(("up.json", f"{state} is damaged; run ./l3 down, or remove it")) from None
    # A machine that died without `down` leaves its file behind; it answers no more.
    return _checked(str(state), address) if _alive(pid) else DEFAULT_ADDRESS


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _checked(source: str, address: str) -> str:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise InvalidInput((source, f"must be HOST:PORT, got {address!r}"))
    return address

"""What a swap was asked for."""

import re
from dataclasses import dataclass
from pathlib import Path

from l3sim.errors import InvalidInput
from l3sim.kinds import beside, device_class, is_file, offers
from l3sim.registry import unknown
from l3sim.specs.choice import is_address
from l3sim.specs.config import DEVICE_KINDS
from l3sim.work import Role

_IMAGE = re.compile(r"[a-z0-9][\w./:@-]*")


@dataclass(frozen=True)
class SwapRequest:
    """One swap; of `kind`, `image` and `address` one is said, the others are "".

    Attributes:
        kind: of this role, ours or another's; the machine's side of it is a shipped or given machine.
        file: that has the kind's class, absolute; "": a package offers it.
        image: of a container that serves devices of this role.
        address: HOST:PORT of devices that run already, as the orchestrator reaches them.
        machine: name or file of the machine that it becomes; "": found by the kind.
    """

    role: Role
    kind: str = ""
    image: str = ""
    address: str = ""
    file: str = ""
    machine: str = ""


def swap_request_of(role: str, given: str, machine: str) -> SwapRequest:
    """Read a command line: a kind that is offered here, or its file; HOST:PORT; anything else is an image.

    Raises:
        InvalidInput: an unknown role, a kind of another role or that cannot be loaded, or what is none of it.
    """
    if role not in list(Role):
        raise InvalidInput(("ROLE", unknown("role", role, [one.value for one in Role])))
    kinds = kinds_of(role)
    if given in kinds:
        return SwapRequest(Role(role), kind=given, machine=machine)
    if is_file(given) or given in offers():
        try:
            found = device_class(given)
        except InvalidInput as error:
            raise InvalidInput(("--with", error.violations[0][1])) from None
        if found.role == role:
            file = beside(given, Path()) if is_file(given) else ""
            return SwapRequest(Role(role), kind=found.kind, file=file, machine=machine)
        text = f"kind {given!r} is for role {found.role}, not {role} (there are: {', '.join(kinds)})"
        raise InvalidInput(("--with", text))
    if is_address(given):
        return SwapRequest(Role(role), address=given, machine=machine)
    if not _IMAGE.fullmatch(given):
        text = f"{given!r} is no kind of role {role} ({', '.join(kinds)}), no HOST:PORT and no image"
        raise InvalidInput(("--with", text))
    return SwapRequest(Role(role), image=given, machine=machine)


def kinds_of(role: str) -> list[str]:
    """Our kinds for a role."""
    return sorted(kind for section, kind in DEVICE_KINDS if section == role)

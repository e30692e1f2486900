"""The devices of one role in a container: `python -m l3sim.launch.device attention --health-file ...`.

A machine file says of which kind they are and how many; so one service of docker-compose.yml is right for
every machine. What follows the role goes to the process of that kind.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from l3sim.errors import InvalidInput, L3Error
from l3sim.kinds import offered
from l3sim.orchestrator.job.slots import slot_names
from l3sim.specs.catalog import load_machine
from l3sim.transport.lifetime import complain
from l3sim.transport.serve import SERVE
from l3sim.work import Role


def command_of(role: Role, environment: Mapping[str, str]) -> list[str]:
    """What to run after the interpreter: a service with this container's share of the devices; [] for none.

    Args:
        environment: $L3_MACHINE; $L3_MODULES instead of the file's number; $L3_CONTAINERS that share them.

    Raises:
        InvalidInput: the machine or a number is refused, or no package of the image offers its kind.
    """
    modules = _number(environment, "L3_MODULES", 0) or None
    containers = _number(environment, "L3_CONTAINERS", 1)
    machine = load_machine(environment.get("L3_MACHINE") or "l3-dgx-a100", modules)
    slots, kind = slot_names(machine, role), machine.kind_said(role)
    if not slots:
        return []
    if not offered(kind):
        text = (
            f"no package in this image offers {kind!r} of {machine.name}; start a container of its own image"
        )
        raise InvalidInput((f"{role}.kind", text))
    each = -(-len(slots) // containers)
    return [*SERVE, kind, "--machine", machine.name, "--devices", str(each)]


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or int(text) < min(default, 1):
        raise InvalidInput((name, f"must be a whole number from {min(default, 1)} on, got {text!r}"))
    return int(text)


def main(argv: Sequence[str]) -> int:
    """Become the service; returns 0 when the machine has no such slots, 2 after a refusal."""
    role, *rest = argv
    try:
        command = command_of(Role(role), os.environ)
    except L3Error as error:
        complain(error)
        return error.exit_code
    if command:
        os.execv(sys.executable, [sys.executable, *command, *rest])
    print(f"l3: this machine has no devices of role {role}: its GPUs attend", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`./l3 swap`: the command line, and who starts and stops devices."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from l3sim.clients.cli import print_json
from l3sim.clients.numbers import whole
from l3sim.clients.options import JsonOption

if TYPE_CHECKING:
    from l3sim.launch.swap.provisioner import Provisioner
    from l3sim.launch.swap.swapping import Swapped


def swap(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="gpu, attention or link.")],
    with_: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="KIND|FILE|IMAGE|ADDRESS",
            help="A kind, the file of its class, an image (under Docker), or HOST:PORT of running devices.",
        ),
    ],
    machine: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="The machine that it becomes; default: the one that runs, or the only one of that kind.",
            show_default=False,
        ),
    ] = "",
    modules_per_process: Annotated[
        int | None,
        typer.Option(
            parser=whole("--modules-per-process", 1, 4096),
            metavar="K",
            help="Of modules, without Docker; default: as many as those had that go.",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            envvar="COMPOSE_PROJECT_NAME",
            help="A composition under Docker, when several run.",
            show_default=False,
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Swap the devices of a role on a running machine; refused while a job runs or waits."""
    from l3sim.launch import signals
    from l3sim.launch.swap.request import swap_request_of
    from l3sim.launch.swap.swapping import swap

    request = swap_request_of(role, with_, machine)
    done = _values(signals.run(swap(request, _provisioner(project, modules_per_process))))
    if as_json:
        print_json(done)
    else:
        print(_sentence(done, request.address))


def _sentence(done: dict[str, Any], address: str) -> str:
    sides = (done["before"], done["after"])
    before, after = (f"{side['devices']} x {side['kind']} ({side['machine']})" for side in sides)
    at = f" at {address}" if address else ""
    return f"{done['role']}: {before} -> {after}{at}; new jobs run on it"


def _provisioner(project: str, size: int | None) -> "Provisioner":
    """Of the machine of `up` in this home; else of a composition.

    Raises:
        NotReady: no machine runs, or one that starts or stops.
    """
    from l3sim.launch.home import Home
    from l3sim.launch.up import status

    home = Home()
    if home.taken and not project:
        from l3sim.launch.swap.local import LocalProvisioner

        state = status()
        return LocalProvisioner(home.control, state, home.journal(state["machine"]), size)
    from l3sim.launch.swap.containers import docker_provisioner

    return docker_provisioner(project)


def _values(done: "Swapped") -> dict[str, Any]:
    from l3sim.orchestrator.job.slots import slot_names

    def side(machine: Any) -> dict[str, Any]:
        return {
            "machine": machine.name,
            "kind": machine.section(done.role)["kind"],
            "devices": len(slot_names(machine, done.role)),
        }

    return {
        "role": done.role.value,
        "before": side(done.before),
        "after": {**side(done.after), "chosen": done.after.devices.get(done.role)},
    }

"""Options of the commands that start a machine of local processes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from l3sim.clients.numbers import whole

if TYPE_CHECKING:
    from l3sim.launch.plan import DeviceProcess
    from l3sim.specs.machine import Machine

DEFAULT_MACHINE = "l3-dgx-a100"


@dataclass(frozen=True)
class MachineOptions:
    """Which machine, and how its devices are shared out to processes."""

    machine: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A name from machines/ or a YAML file.")
    ] = DEFAULT_MACHINE
    gpu: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Another GPU: a name from gpus/ or a YAML file; default: the machine's.",
            show_default=False,
        ),
    ] = ""
    modules_per_process: Annotated[
        int,
        typer.Option(
            parser=whole("--modules-per-process", 1, 4096),
            metavar="K",
            help="DIMM modules in one process; same result.",
        ),
    ] = 1
    override: Annotated[
        list[str] | None,
        typer.Option(metavar="SLOT.KEY=VALUE", help="For one device (dimm-07.ccd_l_tck=16)."),
    ] = None

    def plan(self) -> "tuple[Machine, list[DeviceProcess]]":
        """The machine and the processes of its devices.

        Raises:
            InvalidInput: whatever of it is refused.
        """
        # Not above: commands that only talk to a machine start without loading the device models.
        from l3sim.launch.plan import plan_devices
        from l3sim.specs.catalog import load_machine

        machine = load_machine(self.machine, gpu=self.gpu)
        return machine, plan_devices(machine, self.modules_per_process, self.override or [])

    def arguments(self) -> list[str]:
        """The same options as a command line."""
        words = ["--machine", self.machine, "--modules-per-process", str(self.modules_per_process)]
        if self.gpu:
            words += ["--gpu", self.gpu]
        for override in self.override or []:
            words += ["--override", override]
        return words

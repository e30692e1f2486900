"""The `probe` group of the command line.

Modules of the commands import typer and the options only; device models load when a command runs, since
this is imported at every start of `./l3`.
"""

import typer

from l3sim.launch.probe.dimm_pim import dimm_pim
from l3sim.launch.probe.gpu import gpu
from l3sim.launch.probe.hbm_pim import hbm_pim
from l3sim.launch.probe.link import link
from l3sim.launch.probe.of_machine import attention

app = typer.Typer(
    name="probe",
    help="Print what one device model says about one cost; no machine is started.",
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    # Without a callback typer would drop a command's name while there is only one.
    pass


app.command()(attention)
app.command()(dimm_pim)
app.command()(gpu)
app.command()(hbm_pim)
app.command()(link)

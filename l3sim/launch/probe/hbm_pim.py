"""`./l3 probe hbm-pim`: decode attention in HBM stacks with units, one layer of equal requests.

./l3 probe hbm-pim --model gpt-175b --batch 16 --context 2048
./l3 probe hbm-pim --model llama-2-7b --batch 1 --context 64 --trace
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from l3sim.clients.groups import grouped
from l3sim.launch.probe.modules import Asked, Shown, answer


@dataclass(frozen=True)
class Stacks(Asked):
    """Requests and stacks; None leaves it to the machine."""

    machine: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A name from machines/ or a YAML file.")
    ] = "hbm-pim-dgx-a100"
    level: Annotated[
        Literal["command", "fast", "roofline"] | None, typer.Option(help="Default: the machine's.")
    ] = None
    pu: Annotated[
        Literal["bank", "bank-group", "buffer"] | None, typer.Option(help="Where K and V are multiplied.")
    ] = None


@grouped
def hbm_pim(asked: Stacks, shown: Shown) -> None:
    """Print what one layer of decode attention costs in the HBM stacks; a trace is of one pseudo channel."""
    answer("hbm-pim", asked, {"level": asked.level, "pu": asked.pu}, shown)

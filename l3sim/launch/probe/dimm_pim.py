"""`./l3 probe dimm-pim`: decode attention in the memory modules, one layer of equal requests.

./l3 probe dimm-pim --model gpt-175b --batch 16 --context 8192
./l3 probe dimm-pim --model llama-2-7b --machine l3-mini --batch 1 --context 64 --trace
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from l3sim.clients.groups import grouped
from l3sim.clients.numbers import whole
from l3sim.launch.probe.modules import Asked, Shown, answer


@dataclass(frozen=True)
class Switches:
    """Keys of the modules; None leaves one to the machine."""

    level: Annotated[
        Literal["command", "fast", "roofline"] | None, typer.Option(help="Default: the machine's.")
    ] = None
    n_hc: Annotated[
        int | None, typer.Option(parser=whole("--n-hc", 1, 64), metavar="N", help="Chips that share a head.")
    ] = None
    no_pipelining: Annotated[
        bool, typer.Option("--no-pipelining", help="Collect when all of a chunk is computed.")
    ] = False
    relayout: Annotated[
        Literal["unit", "cpu"] | None, typer.Option(help="What puts an element into one chip.")
    ] = None
    pu: Annotated[Literal["bank", "rank"] | None, typer.Option(help="Where K and V are multiplied.")] = None


@grouped
def dimm_pim(asked: Asked, switches: Switches, shown: Shown) -> None:
    """Print what one layer of decode attention costs in the memory modules."""
    keys = {
        "level": switches.level,
        "n_hc": switches.n_hc,
        "pipelining": False if switches.no_pipelining else None,
        "relayout": switches.relayout,
        "pu": switches.pu,
    }
    answer("dimm-pim", asked, keys, shown)

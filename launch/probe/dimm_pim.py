"""`./l3 probe dimm-pim`: decode attention in the memory modules, one layer of equal requests.

./l3 probe dimm-pim --model gpt-175b --batch 16 --context 8192
./l3 probe dimm-pim --model llama-2-7b --machine l3-mini --batch 1 --context 64 --trace
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from clients.cli import print_json
from clients.groups import grouped
from clients.numbers import whole
from clients.options import MAX_DEGREE, JsonOption
from l3sim.errors import InvalidInput
from launch.options import DEFAULT_MACHINE

MAX_BATCH = 65_536
MAX_CONTEXT = 100_000_000


@dataclass(frozen=True)
class Asked:
    """Requests and modules; None leaves it to the machine."""

    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="A name from models/ or a file.")]
    batch: Annotated[
        int,
        typer.Option(parser=whole("--batch", 1, MAX_BATCH), metavar="B", help="Decoding requests."),
    ]
    context: Annotated[
        int,
        typer.Option(
            parser=whole("--context", 1, MAX_CONTEXT),
            metavar="T",
            help="Tokens that each attends, the new one included.",
        ),
    ]
    machine: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A name from machines/ or a YAML file.")
    ] = DEFAULT_MACHINE
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
        Literal["unit", "cpu"] | None, typer.Option(help="Who puts an element into one chip.")
    ] = None
    pu: Annotated[Literal["bank", "rank"] | None, typer.Option(help="Where K and V are multiplied.")] = None
    tp: Annotated[
        int | None, typer.Option(parser=whole("--tp", 1, MAX_DEGREE), metavar="N", help="GPUs of a replica.")
    ] = None
    dp: Annotated[
        int | None, typer.Option(parser=whole("--dp", 1, MAX_DEGREE), metavar="N", help="Replicas.")
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A key of the modules; repeatable."),
    ] = None

    def switches(self) -> dict[str, Any]:
        """Keys of the modules that options name."""
        options = {
            "level": self.level,
            "n_hc": self.n_hc,
            "pipelining": False if self.no_pipelining else None,
            "relayout": self.relayout,
            "pu": self.pu,
        }
        return {key: value for key, value in options.items() if value is not None}


@grouped
def dimm_pim(
    asked: Asked,
    trace: Annotated[
        bool, typer.Option("--trace", help="Also every command of the slowest rank, runs folded.")
    ] = False,
    trace_all: Annotated[bool, typer.Option("--trace-all", help="The same, nothing folded.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print what one layer of decode attention costs in the memory modules."""
    from l3sim.specs.catalog import load_machine, load_model
    from launch.probe.attention import probe, with_attention
    from launch.probe.listing import listing, text_of, text_of_trace

    switches = asked.switches()
    traced = trace or trace_all
    if traced and switches.setdefault("level", "command") != "command":
        raise InvalidInput(("--trace", f"shows commands, which level {asked.level} has not; drop --level"))
    machine = with_attention(load_machine(asked.machine), _settings(switches, asked.settings or []))
    shape = load_model(asked.model)
    values = probe(machine, shape, asked.batch, asked.context, asked.tp, asked.dp)
    lines = listing(machine, shape, values) if traced else []
    tck_ps = machine.attention.tck_ps
    if as_json:
        all_lines = {"trace": [line.values(tck_ps) for line in lines]} if traced else {}
        print_json({**values, **all_lines})
        return
    print("\n".join(text_of(values)))
    if traced:
        print("\n" + "\n".join(text_of_trace(lines, tck_ps, fold=not trace_all)))


def _settings(options: Mapping[str, Any], texts: list[str]) -> dict[str, Any]:
    """Those of the options, and those of --set; none given twice."""
    from l3sim.specs.catalog import parse_value

    found = dict(options)
    for text in texts:
        path, equals, value = (part.strip() for part in text.partition("="))
        section, dot, key = path.rpartition(".")
        if not (equals and key and value):
            raise InvalidInput(("--set", f"must be key=value, got {text!r}"))
        if dot and section != "attention":
            raise InvalidInput(("--set", f"{path} changes no module; set keys of attention"))
        if key in found:
            raise InvalidInput(("--set", f"{key} is given twice"))
        found[key] = parse_value(path, value)
    return found

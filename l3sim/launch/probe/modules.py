"""What a probe of attention modules is asked, and how it answers; one file each has the options of a kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from l3sim.clients.cli import print_json
from l3sim.clients.numbers import whole
from l3sim.clients.options import JsonOption
from l3sim.errors import InvalidInput
from l3sim.launch.options import DEFAULT_MACHINE
from l3sim.specs.job import MAX_DEGREE

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


@dataclass(frozen=True)
class Shown:
    """How it is answered."""

    trace: Annotated[
        bool, typer.Option("--trace", help="Also every command of the slowest rank, runs folded.")
    ] = False
    trace_all: Annotated[bool, typer.Option("--trace-all", help="The same, nothing folded.")] = False
    as_json: JsonOption = False


def answer(kind: str, asked: Asked, switches: Mapping[str, Any], shown: Shown) -> None:
    """Print what one layer of decode attention costs in the modules of a kind.

    Args:
        switches: keys of the modules that options name; None leaves one to the machine.

    Raises:
        InvalidInput: the machine has other modules, or what is asked does not fit it.
    """
    from l3sim.launch.probe.attention import probe, with_attention
    from l3sim.launch.probe.listing import listing, text_of, text_of_trace
    from l3sim.specs.catalog import load_machine, load_model

    given = {key: value for key, value in switches.items() if value is not None}
    traced = shown.trace or shown.trace_all
    if traced and given.setdefault("level", "command") != "command":
        raise InvalidInput(("--trace", f"shows commands, which level {given['level']} has not; drop --level"))
    plain = load_machine(asked.machine)
    if plain.attention.kind != kind:
        there = plain.attention.kind
        raise InvalidInput(
            ("--machine", f"{plain.name} has modules of kind {there}, not {kind}; use another")
        )
    machine = with_attention(plain, settings_of(given, asked.settings or []))
    shape = load_model(asked.model)
    values = probe(machine, shape, asked.batch, asked.context, asked.tp, asked.dp)
    lines = listing(machine, shape, values) if traced else []
    tck_ps = machine.section("attention")["tck_ps"]
    if shown.as_json:
        all_lines = {"trace": [line.values(tck_ps) for line in lines]} if traced else {}
        print_json({**values, **all_lines})
        return
    print("\n".join(text_of(values)))
    if traced:
        print("\n" + "\n".join(text_of_trace(lines, tck_ps, fold=not shown.trace_all)))


def settings_of(options: Mapping[str, Any], texts: list[str]) -> dict[str, Any]:
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

"""`./l3 machine`: machine files as they resolve, with who says each value and where it is from."""

from typing import Annotated, Any

import typer

from l3sim.clients.cli import print_json
from l3sim.clients.options import JsonOption
from l3sim.launch.lists import machines, print_list
from l3sim.launch.silicon import derived, lines_of
from l3sim.specs.choice import DEVICES

app = typer.Typer(
    name="machine",
    help="Inspect machine files; no machine is started.",
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_machines(as_json: JsonOption = False) -> None:
    """List the machines that `--machine` knows by name; beside them it takes any file."""
    print_list(machines(), as_json)


@app.command()
def show(
    machine: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A name from machines/ or a YAML file.")
    ],
    gpu: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Another GPU, as of `up` and `run`.", show_default=False)
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Print a machine file resolved: every value, the file that says it, and its source."""
    found = described(machine, gpu)
    if as_json:
        print_json(found)
        return
    print(f"{found['name']}: {found['description']}\ndefault model {found['default_model']}")
    for role, choice in found.get(DEVICES, {}).items():
        print(f"{role} is {choice}")
    for section, entries in found["sections"].items():
        rows = [(key, _text(one["value"]), one["file"] or "-", one["source"]) for key, one in entries.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        print(f"\n{section}")
        for *cells, source in rows:
            padded = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            print(f"  {padded}  {source}")
    if lines := lines_of(found["derived"]):
        print("\nchips, from the above\n" + "\n".join(f"  {line}" for line in lines))


def described(name_or_path: str, gpu: str = "") -> dict[str, Any]:
    """A machine, resolved: under `sections`, of each key {value, file, source}; file null: a default.

    Beside them what stands outside of sections, and `derived`: what follows for the chips.

    Raises:
        InvalidInput: the machine, what it builds on, or its GPU is refused.
    """
    from l3sim.specs.catalog import machine_layers
    from l3sim.specs.machine import SECTIONS, machine_from

    layers = machine_layers(name_or_path, gpu=gpu)
    machine = machine_from(layers.raw, name_or_path)
    resolved = machine.resolved()
    sections = {
        section: {
            key: {**entry, "file": layers.files.get(f"{section}.{key}")}
            for key, entry in resolved[section].items()
        }
        for section in SECTIONS
    }
    top = {key: resolved[key] for key in resolved.keys() - set(SECTIONS)}
    return {**top, "sections": sections, "derived": derived(machine)}


def _text(value: Any) -> str:
    return "none" if value is None else str(value)

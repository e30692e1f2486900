"""`./l3 probe link`: how long one transfer takes between GPUs and a rankset, and what holds it up.

The bytes lie evenly on the GPUs of a replica and on its channels, as those of a large batch do.
"""

from typing import Annotated, Any, Literal

import typer

from l3sim.clients.cli import print_json
from l3sim.clients.job_spec import split_settings
from l3sim.clients.numbers import whole
from l3sim.clients.options import JsonOption, SetOption
from l3sim.errors import InvalidInput
from l3sim.launch.options import DEFAULT_MACHINE

MAX_BYTES = 2**50


def link(
    size: Annotated[
        int, typer.Option("--bytes", parser=whole("--bytes", 1, MAX_BYTES), metavar="N", help="To move.")
    ],
    direction: Annotated[
        Literal["down", "up"], typer.Option(help="down: to the modules; up: to the GPUs.")
    ] = "down",
    no_overlap: Annotated[
        bool, typer.Option("--no-overlap", help="All ranksets stop, as with link.overlap=off.")
    ] = False,
    machine: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A name from machines/ or a YAML file.")
    ] = DEFAULT_MACHINE,
    tp: Annotated[
        int | None,
        typer.Option(
            parser=whole("--tp", 1, 1024),
            metavar="N",
            help="GPUs of the replica; default: all of the machine.",
        ),
    ] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time one transfer between the GPUs of a replica and one rankset."""
    found = transfer(machine, size, direction, tp, _settings(settings or [], no_overlap))
    if as_json:
        print_json(found)
        return
    print(f"transfer    {found['transfer_us']:.3f} us {direction}, {size:,} bytes")
    print(f"bandwidth   {found['bandwidth_bytes_per_s'] / 1e9:.3f} GB/s")
    print(f"set-up      {found['setup_us']:.3f} us")
    for name in ENDPOINTS:
        held = "   <- decides" if found["bound"] == name else ""
        print(f"{name:<11} {found[f'{name}_us']:.3f} us{held}")
    print(f"meanwhile   {found['attention_stopped_share']:.0%} of the ranks cannot attend")


def _settings(texts: list[str], no_overlap: bool) -> list[tuple[str, str]]:
    """Those of --set, and that of --no-overlap; none without effect."""
    found = list(split_settings(texts))
    for key, _ in found:
        if key.partition(".")[0] not in ("link", "attention"):
            raise InvalidInput(("--set", f"{key} changes no transfer; set keys of link or attention"))
        if no_overlap and key == "link.overlap":
            raise InvalidInput(("--no-overlap", "excludes --set link.overlap; keep one"))
    return [*found, *([("link.overlap", "off")] if no_overlap else [])]


#: What may hold a transfer up, from the GPUs on; of equals the first is named.
ENDPOINTS = ("gpu", "uplink", "channel")


def transfer(
    machine_name: str, size: int, direction: str, tp: int | None, settings: list[tuple[str, str]]
) -> dict[str, Any]:
    """Everything about one transfer.

    Args:
        settings: (`slot.key`, value as YAML text) above the machine file.

    Raises:
        InvalidInput: whatever of it is refused.
    """
    import numpy as np

    from l3sim.services.interconnect.path import path_of
    from l3sim.specs.catalog import load_machine, parse_value
    from l3sim.units import ps

    values = [(key, parse_value(key, text)) for key, text in settings]
    machine = load_machine(machine_name).with_settings(values, "command line")
    gpus = machine.gpu.gpus
    tp = tp or gpus
    if tp > gpus or gpus % tp:
        raise InvalidInput(("--tp", f"must divide the {gpus} GPU(s) of {machine.name}, got {tp}"))
    channels = machine.attention.replica_channels(gpus // tp)
    machine.link.check_replica(tp)
    path = path_of(machine.link, tp, gpus // tp, channels)
    of_gpu, of_channel = -(-size // tp), -(-size // channels)
    moved = [np.array(one) for one in (of_gpu, of_gpu * path.gpus, of_channel, size)]
    full_s = dict(zip(ENDPOINTS, map(float, path.endpoints_s(*moved)), strict=True))
    duration_ps = ps(float(path.cost_s(*moved)))
    stopped = 1 if machine.link.overlap == "off" else machine.attention.rankset_count
    return {
        "machine": machine.name,
        "direction": direction,
        "bytes": size,
        "transfer_us": duration_ps / 1e6,
        "bandwidth_bytes_per_s": size / (duration_ps / 1e12),
        "setup_us": path.setup_s * 1e6,
        **{f"{name}_us": seconds * 1e6 for name, seconds in full_s.items()},
        "bound": max(full_s, key=lambda name: full_s[name]),
        "attention_stopped_share": 1 / stopped,
    }

"""`./l3 conformance HOST:PORT`: does the device there keep the contract of `device.proto`?

Exit code 0: it does; 1: a check failed; 2: bad input; 3: no device answers.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l3sim.clients.cli import print_json
from l3sim.clients.numbers import positive
from l3sim.clients.options import JsonOption
from l3sim.errors import InvalidInput, NotReady, Unreachable

if TYPE_CHECKING:
    from l3sim.conformance.suite import Question
    from l3sim.conformance.verdicts import Outcome
    from l3sim.work import DeviceDescription

#: Hello may have a device build a table, which takes seconds on a busy computer.
WAIT_S = 60.0
MAX_WAIT_S = 3600.0
#: Four pings.
IDLE_S = 9.0


def conformance(
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Of the device's service.")],
    device: Annotated[
        str, typer.Option(help="Which of several devices; default: the first.", show_default=False)
    ] = "",
    machine: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE", help="Its section of the device's role and kind configures the device."
        ),
    ] = "l3-mini",
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A JSON or YAML mapping that configures it instead."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override one key (level=roofline); repeatable."),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            parser=positive("--timeout", MAX_WAIT_S, "seconds"),
            metavar="S",
            help="Longest wait for one answer, in seconds.",
        ),
    ] = WAIT_S,
    idle: Annotated[
        float,
        typer.Option(min=0, metavar="S", help="How long a session idles to be pinged; 0: skip that check."),
    ] = IDLE_S,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the result as JUnit XML.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Test whether the device at an address keeps the contract, and print a table of what holds."""
    from l3sim.conformance.suite import Question
    from l3sim.specs.catalog import load_machine, load_model
    from l3sim.specs.choice import ROLES
    from l3sim.transport.lifetime import host_and_port

    host_and_port(address, "address")
    # Whatever its kind: the device is named here.
    of = load_machine(machine, devices=dict.fromkeys(ROLES, address))
    values = _values(settings or [])
    model = load_model(of.default_model)
    return _report(
        Question(address, of, model, _mapping(config), values, device, timeout, idle), junit, as_json
    )


def _report(question: "Question", junit: Path | None, as_json: bool) -> int:
    """Ask, and hand the answers out; returns the exit code."""
    from l3sim.conformance import report

    found, outcomes = asyncio.run(_ask(question, quiet=as_json))
    if as_json:
        print_json(report.values(question.address, found, outcomes))
    else:
        print(report.summary(outcomes))
    if junit is not None:
        try:
            junit.write_bytes(report.junit(found, outcomes))
        except OSError as error:
            raise InvalidInput(("--junit", f"cannot write {junit}: {error.strerror}")) from None
    return 0 if report.conforms(outcomes) else 1


async def _ask(question: "Question", quiet: bool) -> "tuple[DeviceDescription, list[Outcome]]":
    """Run the suite and print each row as it comes."""
    from l3sim.conformance import report, run_suite

    outcomes: list[Outcome] = []
    try:
        async for device, outcome in run_suite(question):
            if not quiet:
                if not outcomes:
                    print(f"{device.kind} {device.device_id} (role {device.role}) at {question.address}")
                print(report.line(outcome), flush=True)
            outcomes.append(outcome)
    except Unreachable as error:
        raise NotReady(f"{error}; start the device first") from None
    return device, outcomes


def _values(settings: list[str]) -> dict[str, Any]:
    """Values of --set by key."""
    from l3sim.specs.catalog import parse_value

    values: dict[str, Any] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not (key and equals and value.strip()):
            raise InvalidInput(("--set", f"must be KEY=VALUE, got {text!r}"))
        values[key] = parse_value(key, value)
    return values


def _mapping(file: Path | None) -> dict[str, Any] | None:
    """What a configuration file says; None without one."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if file is None:
        return None
    try:
        value = YAML(typ="safe", pure=True).load(file.read_text())
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InvalidInput(("--config", f"{file}: {' '.join(str(error).split())}")) from None
    if not isinstance(value, dict):
        raise InvalidInput(("--config", f"{file}: must be a mapping of keys"))
    return value

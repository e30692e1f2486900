"""Options that several commands share, each declared once.

A command takes a group as one parameter, and `groups.grouped` unfolds it for typer:

    @app.command()
    @grouped
    def submit(workload: WorkloadArgument, job: JobOptions, output: OutputOptions) -> None:
        spec = job.spec(workload)
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from l3sim.clients.groups import keyword
from l3sim.clients.job_spec import OPTIONS, job_spec, split_settings
from l3sim.clients.numbers import positive, whole
from l3sim.specs.job import JobSpec
from l3sim.specs.option import Declared

WorkloadArgument = Annotated[
    str,
    typer.Argument(
        metavar="WORKLOAD",
        help="openr1, dolphin, openthoughts, dolphin-short (NAME:max=N bounds outputs), fixed:IN:OUT "
        "(numbers or A..B) or a trace (Azure CSV, JSONL).",
    ),
]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `submit` and `jobs` show it.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="The machine's address; default: $L3_ADDRESS, then the machine of `up`."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SLOT.KEY=VALUE", help="Overrides the machine file; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and only that.")]


CheckFidelityOption = Annotated[
    float | None,
    typer.Option(
        parser=positive("--check-fidelity", 1, "a share"),
        metavar="P",
        help="Cost a share P of the windows by the more faithful level as well; print the largest gap.",
    ),
]


class JobOptions:
    """What to serve, how it arrives, and on which model and policy.

    Its options are those that `JobSpec` and `WorkloadSpec` declare, `--set`, and short ways to set a key.

    Args:
        values: by keyword; those that are left out have their defaults.
    """

    def __init__(self, **values: Any) -> None:
        self._values = values

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        """What a command takes, for `groups.grouped`."""
        return [
            *(keyword(name, _annotation(one), _default(one)) for name, one in OPTIONS.items()),
            keyword("settings", SetOption, None),
            keyword("check_fidelity", CheckFidelityOption, None),
        ]

    def spec(self, workload: str, machine: str = "") -> JobSpec:
        """The job that these options describe; reads the trace and the model file.

        Args:
            machine: name of the machine that must answer, or "" for any.

        Raises:
            InvalidInput: whatever of it is refused, by option, or by `file:line` of a trace.
        """
        values = dict(self._values)
        settings, share = values.pop("settings", None) or [], values.pop("check_fidelity", None)
        checks = [] if share is None else [f"attention.check_fidelity={share}"]
        return job_spec(workload, machine, split_settings([*settings, *checks]), **values)


def _annotation(one: Declared) -> Any:
    """The option as typer reads it."""
    option = one.option
    if one.kind is bool:
        return Annotated[bool, typer.Option(option.flag, help=option.help)]
    parser: Callable[[object], Any] | None = None
    if one.kind is int:
        parser = whole(option.flag, option.least, int(option.most))
    elif one.kind is float:
        parser = positive(option.flag, option.most, option.unit)
    kind = one.kind if parser else str
    made = typer.Option(option.flag, parser=parser, metavar=option.metavar or None, help=option.help)
    return Annotated[kind | None, made]


def _default(one: Declared) -> Any:
    """What help shows: the default, unless it stands for something else, as 0 does where 1 is the least."""
    default, option = one.default, one.option
    means_else = (one.kind is int and default is not None and default < option.least) or (
        one.kind is float and not default
    )
    return None if means_else or default in ("", ()) else default


@dataclass(frozen=True)
class OutputOptions:
    """Where a report goes."""

    json: JsonOption = False
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Also write report.json and the files beside it there (docs/report.md)."
        ),
    ] = None

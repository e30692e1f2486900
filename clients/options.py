"""Options that several commands share, each declared once.

A command takes a group as one parameter, and `groups.grouped` unfolds it for typer:

    @app.command()
    @grouped
    def submit(workload: WorkloadArgument, job: JobOptions, output: OutputOptions) -> None:
        spec = job.spec(workload)
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from l3sim.clients.numbers import pairs, positive, shares, whole
from l3sim.clients.workloads import workload_spec
from l3sim.errors import InvalidInput
from l3sim.specs.catalog import is_path, load_model, parse_value
from l3sim.specs.job import DEFAULT_MAX_WINDOW, DEFAULT_POLICY, JobSpec
from l3sim.specs.model import ModelShape
from l3sim.specs.workload import DEFAULT_REQUESTS, MAX_CV, MAX_REQUESTS, MAX_THINK_S, MAX_TOKENS

MAX_RATE = MAX_SPEED = 1e9
MAX_DEGREE = 1024
MAX_UINT32 = 2**32 - 1
MAX_SEED = 2**64 - 1

WorkloadArgument = Annotated[
    str,
    typer.Argument(
        metavar="WORKLOAD",
        help="openr1, dolphin, openthoughts, dolphin-short, fixed:IN:OUT or a trace (Azure CSV, JSONL).",
    ),
]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `submit` and `jobs` show it.")]
AddressOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Of the machine; else $L3_ADDRESS, else that of `up`."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SLOT.KEY=VALUE", help="Above the machine file; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and only that.")]


@dataclass(frozen=True)
class JobOptions:
    """What to serve, how it arrives, and on which model and policy; None is the default."""

    model: Annotated[
        str,
        typer.Option(
            help="A name from models/, a YAML file or a Hugging Face config.json; default: the machine's.",
            show_default=False,
        ),
    ] = ""
    policy: Annotated[str, typer.Option(help="l3, fill, serial, chunked, static, or an installed one.")] = (
        DEFAULT_POLICY
    )
    requests: Annotated[
        int | None,
        typer.Option(
            parser=whole("--requests", 1, MAX_REQUESTS),
            metavar="N",
            help=f"Default: {DEFAULT_REQUESTS}, or all of a trace.",
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option(parser=whole("--seed", 0, MAX_SEED), metavar="S", help="Root of all random streams."),
    ] = 0
    rate: Annotated[
        float | None,
        typer.Option(
            parser=positive("--rate", MAX_RATE, "requests a second"),
            metavar="R",
            help="Open loop: arrivals, Poisson but for --cv, requests a second.",
        ),
    ] = None
    concurrency: Annotated[
        int | None,
        typer.Option(
            parser=whole("--concurrency", 1, MAX_REQUESTS),
            metavar="C",
            help="Closed loop: clients that each wait for their answer.",
        ),
    ] = None
    cv: Annotated[
        float | None,
        typer.Option(
            parser=positive("--cv", MAX_CV, "standard deviations a mean"),
            metavar="CV",
            help="With --rate: gamma arrivals, gaps with this coefficient of variation; default: Poisson.",
        ),
    ] = None
    think: Annotated[
        float | None,
        typer.Option(
            parser=positive("--think", MAX_THINK_S, "seconds"),
            metavar="S",
            help="With --concurrency: a client waits so long before its next request.",
        ),
    ] = None
    priorities: Annotated[
        str,
        typer.Option(metavar="P:SHARE,...", help="Draw priorities, 0 (usual) to 9 (urgent): 0:0.9,5:0.1."),
    ] = ""
    max_output: Annotated[
        int | None,
        typer.Option(
            parser=whole("--max-output", 1, MAX_TOKENS),
            metavar="N",
            help="Every request's output is cut to so many tokens.",
        ),
    ] = None
    slo: Annotated[
        str,
        typer.Option(metavar="METRIC:S,...", help="Objectives, for goodput: ttft_s:2,tbt_s:0.1."),
    ] = ""
    oracle_lengths: Annotated[
        bool, typer.Option("--oracle-lengths", help="The scheduler knows every output length.")
    ] = False
    regret: Annotated[
        int | None,
        typer.Option(
            parser=whole("--regret", 1, 1000),
            metavar="K",
            help="Compare so many plans of each replica with their alternatives.",
        ),
    ] = None
    speed: Annotated[
        float,
        typer.Option(
            parser=positive("--speed", MAX_SPEED, "times real time"),
            metavar="F",
            help="A trace's times are divided by this.",
        ),
    ] = 1.0
    tp: Annotated[
        int | None,
        typer.Option(
            parser=whole("--tp", 1, MAX_DEGREE),
            metavar="N",
            help="Tensor parallel; default: by model and machine.",
        ),
    ] = None
    dp: Annotated[
        int | None,
        typer.Option(
            parser=whole("--dp", 1, MAX_DEGREE),
            metavar="N",
            help="Data parallel; default: by model and machine.",
        ),
    ] = None
    max_window: Annotated[
        int,
        typer.Option(
            parser=whole("--max-window", 1, MAX_UINT32),
            metavar="K",
            help="Most rounds in a window; 1: lockstep, same result.",
        ),
    ] = DEFAULT_MAX_WINDOW
    settings: SetOption = None
    check_fidelity: Annotated[
        float | None,
        typer.Option(
            parser=positive("--check-fidelity", 1, "a share"),
            metavar="P",
            help="Cost a share P of the windows by the more faithful level as well; print the largest gap.",
        ),
    ] = None
    spans: Annotated[
        int | None,
        typer.Option(
            parser=whole("--spans", 1, MAX_UINT32),
            metavar="K",
            help="Keep the tasks of each replica's first K rounds.",
        ),
    ] = None

    def spec(self, workload: str, machine: str = "") -> JobSpec:
        """The job that these options describe; reads the trace and the model file.

        Args:
            machine: name of the machine that must answer, or "" for any.

        Raises:
            InvalidInput: whatever of it is refused, by option, or by `file:line` of a trace.
        """
        if not self.policy:
            raise InvalidInput(("--policy", "must not be empty"))
        return JobSpec(
            settings=split_settings([*(self.settings or []), *self._checks()]),
            model=_model(self.model),
            workload=workload_spec(
                workload,
                self.requests,
                self.rate,
                self.concurrency,
                self.speed,
                cv=self.cv,
                think_s=self.think or 0.0,
                priorities=shares("--priorities", self.priorities),
                max_output=self.max_output,
            ),
            machine=machine,
            policy=self.policy,
            seed=self.seed,
            tp=self.tp or 0,
            dp=self.dp or 0,
            max_window=self.max_window,
            spans_rounds=self.spans or 0,
            slo=pairs("--slo", self.slo),
            oracle_lengths=self.oracle_lengths,
            regret_plans=self.regret or 0,
        )

    def _checks(self) -> list[str]:
        return [] if self.check_fidelity is None else [f"attention.check_fidelity={self.check_fidelity}"]


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


def _model(name_or_path: str) -> str | ModelShape:
    return load_model(name_or_path) if is_path(name_or_path) else name_or_path


def split_settings(texts: list[str]) -> tuple[tuple[str, str], ...]:
    """(`slot.key`, value as YAML text) of each `--set`.

    Raises:
        InvalidInput: one is not written so, or a key comes twice.
    """
    settings: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key, value = key.strip(), value.strip()
        slot, dot, name = key.partition(".")
        if not (equals and dot and slot and name and value):
            raise InvalidInput(("--set", f"must be slot.key=value, got {text!r}"))
        if key in settings:
            raise InvalidInput(("--set", f"{key} is set twice"))
        parse_value(key, value)
        settings[key] = value
    return tuple(settings.items())

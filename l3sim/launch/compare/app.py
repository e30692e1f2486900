"""The command `./l3 compare` and its options."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from l3sim.clients.cli import print_json
from l3sim.clients.numbers import whole
from l3sim.clients.options import JobOptions, JsonOption, WorkloadArgument
from l3sim.errors import InvalidInput

if TYPE_CHECKING:
    from l3sim.launch.compare.jobs import Compared


def compare(
    workload: WorkloadArgument,
    machine: Annotated[
        list[str], typer.Option(metavar="NAME|FILE", help="A machine; give it twice or more, the first is 1.")
    ],
    job: JobOptions,
    gpu: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="Another GPU, in all of them; default: each machine's."),
    ] = "",
    workers: Annotated[
        int | None,
        typer.Option(
            parser=whole("--workers", 1, 256), metavar="N", help="Machines at a time; default: one a core."
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write a line a machine.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Also draw the rooflines.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Run one job on several machines, without network, and set the results side by side."""
    from l3sim.launch.compare.jobs import Compared, run_all
    from l3sim.launch.compare.plot import check_plot, draw
    from l3sim.launch.compare.tables import comparison, csv_of

    spec = job.spec(workload)
    if spec.spans_rounds:
        raise InvalidInput(("--spans", "compare keeps no spans; use run"))
    if plot is not None:
        check_plot()

    def done(one: Compared) -> None:
        print(f"l3: {one.machine}: {one.refused or 'done'}", file=sys.stderr, flush=True)

    outcomes = run_all(spec, machine, gpu, workers or 0, done)
    if csv is not None:
        _write(csv, csv_of(outcomes), "--csv")
    if plot is not None:
        _write(plot, "", "--plot")
        draw(outcomes, f"{spec.workload.name}, {outcomes[0].policy}", plot)
    if as_json:
        print_json(comparison(spec.workload.name, outcomes))
    else:
        _print(outcomes)
    broken = any(one.report is not None and one.report.broken for one in outcomes)
    if broken:
        return 1
    return outcomes[0].exit_code if all(one.refused for one in outcomes) else 0


def _print(outcomes: "list[Compared]") -> None:
    from l3sim.clients.tables import print_whole
    from l3sim.launch.compare.tables import readings_of, table_of

    print_whole(table_of(outcomes))
    if line := readings_of(outcomes):
        print(line)
    for one in outcomes:
        if one.refused:
            print(f"{one.machine} refused: {one.refused}")


def _write(file: Path, text: str, option: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput((option, f"cannot write to {str(file)!r}: {error.strerror}")) from None

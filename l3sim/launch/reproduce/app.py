"""The command `./l3 reproduce` and its options."""

import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from l3sim.clients.cli import print_json
from l3sim.clients.numbers import whole
from l3sim.clients.options import JsonOption
from l3sim.errors import InvalidInput

if TYPE_CHECKING:
    from l3sim.launch.reproduce.runs import Outcome, Run


def reproduce(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="WORDS",
            help="Cells of that workload, model and system ('openr1 qwen-72b l3'), and nothing else.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(parser=whole("--jobs", 1, 256), metavar="N", help="Runs at a time.")
    ] = 1,
    requests: Annotated[
        int,
        typer.Option(
            parser=whole("--requests", 0, 1_000_000),
            metavar="N",
            help="Of each run, instead of those of the page; 0: those.",
        ),
    ] = 0,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where runs are kept, to go on with; default: beside the tables."),
    ] = None,
    kept: Annotated[bool, typer.Option("--kept", help="Run nothing: show what is kept.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the page there.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Set every published figure beside ours: under the source's assumptions, and by our models."""
    from l3sim.launch.reproduce.page import values, written
    from l3sim.launch.reproduce.published import load_published
    from l3sim.launch.reproduce.study import study
    from l3sim.places import tables_folder

    folder = cache or tables_folder(os.environ).parent / "reproduce"
    if out is not None:
        _write(out, out.read_text(encoding="utf-8") if out.is_file() else "")
    found = study(load_published(), only or [], requests, folder, 0 if kept else jobs, _told())
    if not found.cells:
        raise InvalidInput(
            ("--only", f"no cell is called {' or '.join(only or [])!r}; name some of its words")
        )
    if out is not None:
        _write(out, written(found))
    if as_json:
        print_json(values(found))
    elif out is None:
        print(written(found), end="")
    return 0


def _told() -> Callable[["Run", "Outcome"], None]:
    """Counts runs on standard error."""
    number = count(1)

    def done(run: "Run", outcome: "Outcome") -> None:
        ended = outcome.refused or "done"
        where = f"{run.machine}, {run.model}, {run.workload}"
        print(f"l3: {next(number)}: {where}: {ended}", file=sys.stderr, flush=True)

    return done


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(("--out", f"cannot write to {str(file)!r}: {error.strerror}")) from None

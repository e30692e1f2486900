"""The page of a study as Markdown, and its numbers for programs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from l3sim.launch.reproduce import parts
from l3sim.launch.reproduce.cells import (
    NEAR,
    Cell,
    computed,
    deviation,
    hypothesis_pair,
    near,
    pair_of,
    simulated,
    steady,
    supposed,
)
from l3sim.launch.reproduce.hypotheses import HYPOTHESES
from l3sim.launch.reproduce.plan import AS_PUBLISHED, OURS, REQUESTS, bounded
from l3sim.launch.reproduce.runs import NOT_RUN
from l3sim.launch.reproduce.study import Study
from l3sim.launch.reproduce.waterfall import falls, heights

_HEAD = """\
# Published figures, reproduced

Made by `./l3 reproduce --out FILE`; do not edit. Published figures are those of arXiv 2504.17584 (bars were
read to +-0.005). **As published** is our simulation of the machines `*-as-published`, which have the
assumptions that the source states and no others; **ours** is the same jobs on the machines that we believe
in, calibrated and with real placement. Nothing was fitted to a published figure.
[reproduce.md](../reproduce.md) says how to read this page, and what we see.
"""


def written(study: Study) -> str:
    """The whole page."""
    lines = [_HEAD, *_end_to_end(study), *_hypotheses(study), *_waterfalls(study)]
    if study.figures:
        lines += [*_figures(study), *_parts(study), *_rest(study)]
    lines += _refused(study)
    return "\n".join(lines).rstrip() + "\n"


def values(study: Study) -> dict[str, Any]:
    """The end-to-end table for programs; None where a run is not there, or was refused."""
    return {
        "schema": "l3.reproduce/1",
        "cells": [
            {
                "workload": cell.row.workload,
                "model": cell.row.model,
                "system": cell.system,
                "to": cell.row.to,
                "published": cell.published,
                "source": cell.row.source,
                "as_published": simulated(cell, study.outcomes, AS_PUBLISHED, study.requests),
                "ours": simulated(cell, study.outcomes, OURS, study.requests),
                "hypotheses": {
                    one.name: supposed(cell, one, study.outcomes, study.requests) for one in HYPOTHESES
                },
            }
            for cell in study.cells
        ],
    }


def explained(cell: Cell, study: Study) -> str:
    """What brings a cell near its published figure, in a word or two."""
    stated = simulated(cell, study.outcomes, AS_PUBLISHED, study.requests)
    if stated is None:
        return "-"
    if near(stated, cell.published):
        return "stated"
    asked = [one for one in HYPOTHESES if hypothesis_pair(cell, one, study.requests) is not None]
    found = {one.name.split()[0]: supposed(cell, one, study.outcomes, study.requests) for one in asked}
    able = [name for name, value in found.items() if near(value, cell.published)]
    return ", ".join(able) or ("open" if None in found.values() else "nothing")


def _end_to_end(study: Study) -> Iterator[str]:
    yield from ("## End to end", "")
    yield (
        "Throughput (output tokens / total time, as published) over that of the system behind the stroke. "
        "*Steady* is the same of the parts between ramp and tail, where the longest requests are missing; "
        "*arithmetic* is the steady state in closed form, without queue, preemption and tail."
    )
    yield ""
    rows, known, close = [], 0, 0
    for cell in study.cells:
        ours = simulated(cell, study.outcomes, AS_PUBLISHED, study.requests)
        known += ours is not None
        close += near(ours, cell.published)
        rows.append(
            [
                cell.row.workload,
                cell.row.model,
                f"{cell.system} / {cell.row.to}",
                number(cell.published),
                number(ours),
                percent(deviation(ours, cell.published)),
                number(steady(cell, study.outcomes, AS_PUBLISHED, study.requests)),
                number(computed(cell, study.requests)),
                number(simulated(cell, study.outcomes, OURS, study.requests)),
            ]
        )
    heads = "workload, model, systems, published, as published, deviation, steady, arithmetic, ours"
    yield from table(heads.split(", "), rows)
    yield ""
    yield f"{close} of {known} cells are within {NEAR:.0%} under the stated assumptions alone."
    yield ""
    sizes = {(cell.row.model, cell.row.workload): None for cell in study.cells}
    drawn = ", ".join(f"{study.requests or REQUESTS[key]} of `{bounded(key[1])}` ({key[0]})" for key in sizes)
    yield f"Requests of each run: {drawn}."
    yield ""


def _hypotheses(study: Study) -> Iterator[str]:
    yield from ("## Hypotheses", "")
    yield (
        "Guesses at how a figure was made; none is stated by the source, none is a default of a machine, "
        "none was tuned. A cell says what the ratio becomes if one of them holds and all else stays as "
        "published; `-`: it changes nothing there, or was not run. The last column: what brings the cell "
        "near; `open`: nothing that was run, and some was not."
    )
    yield ""
    yield from (f"- **{one.name}** {one.text}" for one in HYPOTHESES)
    yield ""
    rows = []
    for cell in study.cells:
        row = [f"{cell.row.workload}, {cell.row.model}", cell.system, number(cell.published)]
        row.append(number(simulated(cell, study.outcomes, AS_PUBLISHED, study.requests)))
        row += [number(supposed(cell, one, study.outcomes, study.requests)) for one in HYPOTHESES]
        rows.append([*row, explained(cell, study)])
    names = [one.name.split()[0] for one in HYPOTHESES]
    yield from table(["cell", "system", "published", "stated", *names, f"within {NEAR:.0%}"], rows)
    yield ""


def _waterfalls(study: Study) -> Iterator[str]:
    for cell in falls(list(study.cells)):
        yield f"## From {cell.published:.2f} to ours: {cell.row.workload}, {cell.row.model}"
        yield ""
        steps = heights(cell, study.outcomes, study.requests)
        rows: list[list[str]] = []
        last: float | None = None
        for text, value in steps:
            moved = None if value is None or last is None else value / last - 1
            rows.append([text, number(value), percent(moved)])
            last = value if value is not None else last
        yield from table(["what holds from here on", "L3 / GPU-only", "changes it by"], rows)
        yield ""


def _figures(study: Study) -> Iterator[str]:
    for part in dict.fromkeys(figure.part for figure in study.figures):
        yield from (f"## {part[0].upper()}{part[1:]}", "")
        rows = []
        for figure in study.figures:
            if figure.part != part:
                continue
            stated = figure.of(study.outcomes, figure.pair)
            ours = figure.of(study.outcomes, figure.ours)
            rows.append(_row(figure.what, figure.published, stated, ours))
        yield from table(["what", "published", "as published", "deviation", "ours"], rows)
        yield ""


def _parts(study: Study) -> Iterator[str]:
    for title, found in (
        ("Module: attention time over naive bank level", parts.module_rows(study.published)),
        ("Link: what transfers add to a round", parts.link_rows(study.published, study.outcomes)),
    ):
        yield from (f"## {title}", "")
        rows = []
        for what, value, stated, ours, _ in found:
            row = _row(what, value, stated, ours)
            row[3] = percent(deviation(stated if stated is not None else ours, value))
            rows.append(row)
        yield from table(["what", "published", "as published", "deviation", "ours"], rows)
        yield ""


def _rest(study: Study) -> Iterator[str]:
    yield from ("## Predictors", "")
    rows = []
    for cell in study.cells:
        if cell.system != "l3":
            continue
        run, _ = pair_of(cell, OURS, study.requests)
        found = study.outcomes.get(run)
        if found is not None and found.plan_gpu is not None:
            told = [percent(found.plan_gpu, sign=False), percent(found.plan_attention, sign=False)]
            rows.append([f"{cell.row.workload}, {cell.row.model}", *told])
    below = study.published.predictors[0]["below"]
    yield f"Median relative error of the plans of `l3-dgx-a100`; published: below {below} %."
    yield ""
    yield from table(["job", "GPU", "attention"], rows)
    yield from ("", "## Area", "")
    units = ", ".join(f"{row['unit']} {row['value']} mm2" for row in study.published.area)
    yield f"Published at 28 nm: {units}; twice that in a DRAM process. We have no layout to set beside it."
    yield ""


def _refused(study: Study) -> Iterator[str]:
    told = {
        f"- {run.machine}, {run.model}, `{run.workload}`: {outcome.refused}"
        for run, outcome in study.outcomes.items()
        if outcome.refused and outcome.refused != NOT_RUN
    }
    missing = sum(outcome.refused == NOT_RUN for outcome in study.outcomes.values())
    if told:
        yield from ("## Refused", "", *sorted(told), "")
    if missing:
        yield f"{missing} runs of this page are still to be made (`./l3 reproduce` goes on where it was)."


def _row(what: str, published: float, stated: float | None, ours: float | None) -> list[str]:
    return [what, number(published), number(stated), percent(deviation(stated, published)), number(ours)]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def number(value: float | None) -> str:
    """With two decimals, or three significant digits below one tenth."""
    if value is None:
        return "-"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def percent(value: float | None, sign: bool = True) -> str:
    """A share as whole percent, or with two decimals where it is small and has no sign."""
    if value is None:
        return "-"
    return f"{value:+.0%}" if sign else f"{value:.2%}"

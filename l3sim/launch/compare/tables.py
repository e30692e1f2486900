"""A comparison as plain rows, as a table for people, and as CSV.

Ratios are to the first machine on which the job ran; times and energy below 1 are better, throughput above 1.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from l3sim.launch.compare.jobs import Compared
from l3sim.reports import Report

#: Measures of a report by the name of their column, each with its ratio.
MEASURES: dict[str, Callable[[Report], float | None]] = {
    "throughput_tokens_per_s": lambda report: report.throughput_tokens_per_s,
    "iteration_s": lambda report: report.iteration_s.mean,
    "tbt_p99_s": lambda report: report.tbt_s.p99,
    "ttft_mean_s": lambda report: report.ttft_s.mean,
    "energy_j_per_token": lambda report: report.energy_j.total / report.tokens.output,
}
#: What has no ratio.
FACTS: dict[str, Callable[[Report], Any]] = {
    "tp": lambda report: report.parallel.tp,
    "dp": lambda report: report.parallel.dp,
    "batch_mean_requests": lambda report: report.batch.mean_requests,
    "kv_capacity_bytes": lambda report: report.kv.capacity_bytes,
    "kv_peak_bytes": lambda report: report.kv.peak_bytes,
    "utilization_gpu": lambda report: report.utilization.gpu,
    "utilization_attention": lambda report: report.utilization.attention,
    "job": lambda report: report.job,
}


def rows_of(outcomes: Sequence[Compared]) -> list[dict[str, Any]]:
    """A row a machine; measures of one that did not run, and ratios without a basis, are None."""
    basis = next((one.report for one in outcomes if one.report is not None), None)
    rows = []
    for one in outcomes:
        row: dict[str, Any] = {"machine": one.machine, "policy": one.policy}
        for name, of in MEASURES.items():
            value = None if one.report is None else of(one.report)
            first = None if basis is None else of(basis)
            row[name] = value
            row[f"{name}_ratio"] = value / first if value is not None and first else None
        row |= {name: None if one.report is None else of(one.report) for name, of in FACTS.items()}
        row |= {"all_bank_faw": one.all_bank_faw or None}
        rows.append(row | {"limit": one.limit or None, "refused": one.refused or None})
    return rows


def readings_of(outcomes: Sequence[Compared]) -> str:
    """Which machines open all banks in spite of tFAW, in one line; empty where none open them at once."""
    said = {"exempt": "left out by", "obey": "obeyed by"}
    by = {
        text: [one.machine for one in outcomes if one.all_bank_faw == reading]
        for reading, text in said.items()
    }
    parts = [f"{text} {', '.join(machines)}" for text, machines in by.items() if machines]
    return f"tFAW where all banks open at once (attention.all_bank_faw): {'; '.join(parts)}" if parts else ""


def comparison(workload: str, outcomes: Sequence[Compared]) -> dict[str, Any]:
    """Everything, for JSON: the rows, with each machine's rooflines and report."""
    rows = rows_of(outcomes)
    for row, one in zip(rows, outcomes, strict=True):
        row["rooflines"] = None if one.rooflines is None else asdict(one.rooflines)
        row["report"] = None if one.report is None else one.report.to_dict()
    return {"schema": "l3.compare/1", "workload": workload, "machines": rows}


def csv_of(outcomes: Sequence[Compared]) -> str:
    """A line a machine, under a head."""
    rows, text = rows_of(outcomes), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table_of(outcomes: Sequence[Compared]) -> Table:
    """What matters most, with ratios in brackets."""
    table = Table(box=None, pad_edge=False)
    heads = (
        "TPxDP",
        "tokens/s",
        "iteration ms",
        "TBT p99 ms",
        "TTFT s",
        "J/token",
        "batch",
        "KV TB",
        "limit",
    )
    table.add_column("machine", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="left" if head == "limit" else "right", no_wrap=True)
    for row in rows_of(outcomes):
        if row["refused"]:
            table.add_row(row["machine"], *["-"] * (len(heads) - 1), "refused")
            continue
        scales = (1, 1e3, 1e3, 1, 1)
        cells = [
            _cell(row[name], row[f"{name}_ratio"], scale)
            for name, scale in zip(MEASURES, scales, strict=True)
        ]
        spread = f"{row['tp']}x{row['dp']}"
        batch, capacity = f"{row['batch_mean_requests']:.4g}", f"{row['kv_capacity_bytes'] / 1e12:.3g}"
        table.add_row(row["machine"], spread, *cells, batch, capacity, row["limit"])
    return table


def _cell(value: float | None, ratio: float | None, scale: float) -> str:
    """A measure and its ratio; requests of one token have no gaps, and so no times between tokens."""
    if value is None:
        return "-"
    return f"{value * scale:.4g}" + ("" if ratio is None else f" ({ratio:.3g})")

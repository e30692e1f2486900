"""The plots of docs/generated/scheduling.md, made of the results of `benchmarks.scheduling`."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.panels import Panel, panels

Result = Mapping[str, Any]
#: What the load's panels show: name, key of the report, percentile.
LATENCIES = (
    ("TTFT median, s", "ttft_s", "p50"),
    ("TTFT p99, s", "ttft_s", "p99"),
    ("TBT median, s", "tbt_s", "p50"),
    ("TBT p99, s", "tbt_s", "p99"),
)


def of(results: Sequence[Result], part: str) -> dict[tuple[str, str], list[Result]]:
    """The results of a part, by (model, workload)."""
    cases: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        if one["key"][0] == part:
            cases.setdefault((one["key"][1], one["key"][2]), []).append(one)
    return cases


def load_plot(workload: str) -> str:
    """File name of the latency curves of a trace."""
    return f"scheduling-load-{workload.rpartition('_')[2]}.svg"


MEMORY_PLOT = "scheduling-memory.svg"


def plots(results: Sequence[Result]) -> dict[str, str]:
    """SVG texts by file name, of what was run."""
    found = {}
    if memory := of(results, "memory"):
        found[MEMORY_PLOT] = _memory(memory)
    for (model, workload), rows in of(results, "load").items():
        found[load_plot(workload)] = _load(f"{model}, {workload}", rows)
    return found


def curves(rows: Sequence[Result]) -> tuple[list[float], dict[str, list[Result | None]]]:
    """Numbers of the rows, ascending, and each policy's results there; None: refused, or not run."""
    ran = {(one["key"][3], float(one["key"][4])): one for one in rows if "report" in one}
    xs = sorted({float(one["key"][4]) for one in rows})
    policies = list(dict.fromkeys(one["key"][3] for one in rows))
    return xs, {policy: [ran.get((policy, x)) for x in xs] for policy in policies}


def saturation(line: Sequence[Result | None]) -> int | None:
    """Number of the first of a policy's runs that is saturated."""
    return next((at for at, one in enumerate(line) if one and one["report"]["saturated"]), None)


def _memory(cases: Mapping[tuple[str, str], Sequence[Result]]) -> str:
    shown, names = [], dict[str, None]()
    for (model, workload), rows in cases.items():
        xs, lines = curves(rows)
        names.update(dict.fromkeys(lines))
        series = {
            name: [one["report"]["throughput_tokens_per_s"] if one else None for one in line]
            for name, line in lines.items()
        }
        shown.append(Panel(f"{model}, {workload}", xs, series))
    columns = max(len({workload for _, workload in cases}), 1)
    label = "share of the machine's KV memory"
    return panels("Output tokens a second by memory", shown, list(names), columns, label)


def _load(title: str, rows: Sequence[Result]) -> str:
    xs, lines = curves(rows)
    points = {name: saturation(line) for name, line in lines.items()}
    marks = {name: point for name, point in points.items() if point is not None}
    shown = [
        Panel(
            name,
            xs,
            {
                policy: [one["report"][key][percentile] if one else None for one in line]
                for policy, line in lines.items()
            },
            marks,
            doubling=True,
            tenfold=True,
        )
        for name, key, percentile in LATENCIES
    ]
    return panels(title, shown, list(lines), 2, "speed factor of the trace")

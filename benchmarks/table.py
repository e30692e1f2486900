"""The tables of docs/benchmarks.md: `python -m benchmarks.speed NAME... | python -m benchmarks.table`."""

import json
import sys
from collections.abc import Mapping
from typing import Any


def row(run: Mapping[str, Any]) -> list[str]:
    """One run's figures, as the first table shows them."""
    parts = run["ms_per_window_by_part"]
    return [
        run["name"],
        f"{run['requests']:,}",
        f"{run['iterations']:,}",
        f"{run['windows']:,}",
        f"{run['messages_per_window']:.0f}",
        f"{run['wall_s']:.1f}",
        f"{run['iterations_per_wall_s']:,.0f}",
        f"{run['ms_per_window']:.2f}",
        *(f"{parts[part]:.2f}" for part in ("scheduler", "timeline", "exchange")),
        f"{run['processes']}",
        f"{run['peak_pss_mib']:,.0f}",
    ]


HEAD = (
    *("run", "requests", "iterations", "windows", "messages a window", "wall s", "iterations/s"),
    *("ms a window", "scheduler", "timeline", "exchange", "processes", "peak PSS MiB"),
)


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join(lines)


def cpu_table(runs: list[Mapping[str, Any]]) -> str:
    """CPU seconds by part of the machine."""
    parts = sorted({part for run in runs for part in run["cpu_s"]})
    rows = [[run["name"], *(f"{run['cpu_s'].get(part, 0.0):.1f}" for part in parts)] for run in runs]
    return table(("CPU s, start included", *parts), rows)


def main() -> int:
    """Read runs, a JSON object a line, and print both tables."""
    runs = [json.loads(line) for line in sys.stdin if line.strip()]
    print(table(HEAD, [row(run) for run in runs]))
    print()
    print(cpu_table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())

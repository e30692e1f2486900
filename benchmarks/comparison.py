"""Behind docs/generated/comparison.md: `./l3 compare` of every shipped machine of eight GPUs.

    python -m benchmarks.comparison >> FILE          run them, a JSON object a comparison
    python -m benchmarks.comparison --page FILE      the page of what was run, Markdown

`--skip FILE` leaves out what stands in results already; `--only` keeps some models or workloads.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.meter import ROOT, environment

MODELS = ("gpt-175b", "qwen-72b", "opt-66b")
WORKLOADS = ("openr1", "dolphin")
#: The first is 1 in the tables: the machine without anything that computes in memory.
MACHINES = (
    "gpu-only-dgx-a100",
    "l3-dgx-a100",
    "hbm-pim-dgx-a100",
    "hbm-pim-ext-dgx-a100",
    "r-pim-dgx-a100",
    "cpu-dgx-a100",
    "l3-dgx-a100-1tb",
    "l3-dgx-a100-4tb",
    "l3-dgx-a100-16gb-dies",
    "l3-dgx-a100-ddr5",
    "l3-dgx-a100-pcie5",
    "l3-dgx-h100",
    "hbm-pim-dgx-h100",
)


def words_of(model: str, workload: str) -> list[str]:
    """Of `./l3`."""
    words = ["compare", workload, "--model", model, "--policy", "auto"]
    for machine in MACHINES:
        words += ["--machine", machine]
    return words


def measure(model: str, workload: str, requests: int | None, workers: int) -> dict[str, Any]:
    """Run one comparison; what it printed.

    Raises:
        RuntimeError: it failed.
    """
    words = words_of(model, workload)
    extra = ["--workers", str(workers)] + (["--requests", str(requests)] if requests else [])
    command = [sys.executable, "-P", "-m", "l3sim", *words, *extra]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr.strip()}")
    shown = " ".join(["./l3", *words, *(["--requests", str(requests)] if requests else [])])
    return {"model": model, "workload": workload, "command": shown, "printed": done.stdout.rstrip()}


def page(found: Sequence[dict[str, Any]]) -> str:
    """What was printed, each under its command."""
    lines = [
        "# Machines compared",
        "",
        "Made by `python -m benchmarks.comparison --page FILE` from what `python -m benchmarks.comparison`",
        "ran; do not edit. Each table is what the command above it prints; the number in brackets is the",
        "ratio to the first machine. Columns and limits: [machines.md](../machines.md#side-by-side), which",
        "also says [what we see](../machines.md#what-we-see).",
    ]
    for one in found:
        lines += ["", f"## {one['model']}, {one['workload']}", "", f"`{one['command']}`", ""]
        lines += ["```text", *(line.rstrip() for line in one["printed"].splitlines()), "```"]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str]) -> int:
    """Run what is asked for, one after the other, or make the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__)
    parser.add_argument("--page", type=Path, metavar="FILE", help="print the page of these results")
    parser.add_argument("--skip", type=Path, metavar="FILE", help="leave out what stands there already")
    parser.add_argument("--only", action="append", default=[], help="a model or a workload; repeatable")
    parser.add_argument("--requests", type=int, help="of each job, instead of 1,000")
    parser.add_argument("--workers", type=int, default=1, help="jobs at a time")
    arguments = parser.parse_args(argv)
    if arguments.page:
        print(page(_read(arguments.page)), end="")
        return 0
    known = [(one["model"], one["workload"]) for one in _read(arguments.skip)] if arguments.skip else []
    only = set(arguments.only)
    for model in MODELS:
        for workload in WORKLOADS:
            wanted = not only & set(MODELS) or model in only
            wanted &= not only & set(WORKLOADS) or workload in only
            if wanted and (model, workload) not in known:
                one = measure(model, workload, arguments.requests, arguments.workers)
                print(json.dumps(one), flush=True)
    return 0


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

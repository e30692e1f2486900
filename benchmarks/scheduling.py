"""The runs behind docs/scheduling.md: policies over memory, ranksets, options and load.

    python -m benchmarks.scheduling --list                            what there is to run
    python -m benchmarks.scheduling memory options >> results.jsonl   run those parts, a JSON object a run
    python -m benchmarks.scheduling --page results.jsonl              the tables of what was run, Markdown

Each run is one `./l3 run ... --in-process`; `--skip FILE` leaves out what stands in results already, so
that an interrupted series goes on where it stopped.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.meter import ROOT, environment
from benchmarks.scheduling_page import page
from benchmarks.speed import CODE, CONVERSATION

MODELS = ("gpt-175b", "qwen-72b", "opt-66b")
WORKLOADS = ("openr1", "dolphin", "openthoughts", "dolphin-short")
POLICIES = ("l3", "fill", "serial")
SHARES = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
RANKSETS = (1, 2, 4, 8)
#: Of the reference machine: 64 ranks of 32 GiB.
CAPACITY_BYTES = 64 * 2**35
SPEEDS = (1, 2, 4, 8, 16, 32)
#: Settings of `l3` against its defaults.
OPTIONS = {
    "defaults": (),
    "selection=all": ("selection=all",),
    "admission=aligned": ("admission=aligned",),
    "selection=all, admission=aligned": ("selection=all", "admission=aligned"),
    "sub_batches=1": ("sub_batches=1",),
    "chunking=whole": ("chunking=whole",),
    "step=1": ("step=1",),
    "step=16": ("step=16",),
    "alignment=0.5": ("alignment=0.5",),
    "alignment=2": ("alignment=2",),
    "predictor=tables": ("predictor=tables",),
    "predictor=oracle": ("predictor=oracle",),
}


@dataclass(frozen=True)
class Run:
    """One run of a part of the page.

    Attributes:
        row: what varies in the part's tables.
    """

    part: str
    model: str
    workload: str
    policy: str
    row: str
    settings: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """Of `./l3`."""
        words = ["run", self.workload, "--model", self.model, "--policy", self.policy, *self.more]
        for setting in self.settings:
            words += ["--set", setting]
        return [*words, "--in-process"]

    @property
    def key(self) -> list[str]:
        """What tells it from the others."""
        workload = Path(self.workload).stem if self.workload.endswith(".csv") else self.workload
        return [self.part, self.model, workload, self.policy, self.row]


def memory() -> Iterator[Run]:
    """KV memory from a tenth of the machine's to all of it."""
    for model, workload, share, policy in _product(MODELS, WORKLOADS, SHARES, POLICIES):
        yield Run("memory", model, workload, policy, f"{share:g}", (f"attention.memory_share={share:g}",))


def ranksets() -> Iterator[Run]:
    """1 to 8 ranksets, with the capacity that comes with them and with that of the whole machine."""
    for model, workload, count, policy in _product(MODELS, WORKLOADS, RANKSETS, POLICIES):
        own = (f"attention.ranksets={count}",)
        yield Run("ranksets", model, workload, policy, f"{count}, its own capacity", own)
        whole = (*own, f"attention.capacity_bytes={CAPACITY_BYTES}")
        yield Run("ranksets", model, workload, policy, f"{count}, 2 TiB", whole)


def options() -> Iterator[Run]:
    """What each choice of `l3` is worth."""
    for model, workload, name in _product(MODELS, WORKLOADS, OPTIONS):
        settings = tuple(f"scheduler.{setting}" for setting in OPTIONS[name])
        yield Run("options", model, workload, "l3", name, settings)


def policies() -> Iterator[Run]:
    """Every policy, on the whole machine."""
    for model, workload, policy in _product(MODELS, WORKLOADS, (*POLICIES, "chunked", "static")):
        yield Run("policies", model, workload, policy, policy)


def load() -> Iterator[Run]:
    """The Azure traces at several speeds, through saturation."""
    for trace, speed, policy in _product((CONVERSATION, CODE), SPEEDS, POLICIES):
        yield Run("load", "llama-2-70b", trace, policy, f"{speed}", more=("--speed", f"{speed}"))


PARTS = {part.__name__: part for part in (memory, ranksets, options, policies, load)}


def _product(*axes: Sequence[Any] | dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    if not axes:
        yield ()
        return
    for first in axes[0]:
        for rest in _product(*axes[1:]):
            yield (first, *rest)


def measure(run: Run, requests: int | None) -> dict[str, Any]:
    """Run it; the figures of its row, or why it was refused."""
    words = run.words + (["--requests", str(requests)] if requests else [])
    command = [sys.executable, "-P", "-m", "launch", *words, "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    result: dict[str, Any] = {"key": run.key, "command": " ".join(["./l3", *words])}
    if done.returncode:
        return {**result, "refused": done.stderr.strip().splitlines()[-1]}
    report = json.loads(done.stdout)
    keep = ("tbt_s", "ttft_s", "batch", "utilization", "bubbles", "saturated", "prediction", "preemptions")
    figures = {name: report[name] for name in (*keep, "throughput_tokens_per_s", "makespan_s", "exchange")}
    return {**result, "report": figures, "requests": report["requests"]["submitted"]}


def main(argv: Sequence[str]) -> int:
    """Run what is named, one after the other, or make the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduling", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--list", action="store_true", help="print the commands and stop")
    parser.add_argument("--page", type=Path, metavar="FILE", help="print the page of these results")
    parser.add_argument("--skip", type=Path, metavar="FILE", help="leave out what stands there already")
    parser.add_argument("--only", action="append", default=[], help="models or workloads; repeatable")
    parser.add_argument("--requests", type=int, help="of each run, instead of 1,000 or all of a trace")
    arguments = parser.parse_args(argv)
    if arguments.page:
        print(page([json.loads(line) for line in arguments.page.read_text().splitlines()]), end="")
        return 0
    unknown = [name for name in arguments.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part is called {unknown[0]!r}; there are: {', '.join(PARTS)}")
    known: list[list[str]] = []
    if arguments.skip and arguments.skip.is_file():
        known = [json.loads(line)["key"] for line in arguments.skip.read_text().splitlines()]
    for part in arguments.parts or PARTS:
        for run in PARTS[part]():
            if arguments.only and not {run.model, run.workload} & set(arguments.only):
                continue
            if run.key in known:
                continue
            if arguments.list:
                print(*run.key, "./l3", *run.words)
            elif run.workload.endswith(".csv") and not Path(run.workload).is_file():
                print(f"{run.row}: skipped, there is no {run.workload}", file=sys.stderr)
            else:
                print(json.dumps(measure(run, arguments.requests)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

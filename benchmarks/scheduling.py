"""The runs behind docs/generated/scheduling.md: policies over memory, ranksets, options and load.

    python -m benchmarks.scheduling --list                            what there is to run
    python -m benchmarks.scheduling memory options >> results.jsonl   run those parts, a JSON object a row
    python -m benchmarks.scheduling --page results.jsonl              write the page and its plots

Each row is one `./l3 run ... --in-process`; rows that are the same job run once. `--skip FILE` leaves out
the rows that stand in results already, and answers from them those that are the same job, so that an
interrupted series goes on where it stopped. Results are printed as they come; the page puts them in order.
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Any

from benchmarks.meter import ROOT, environment
from benchmarks.scheduling_page import page
from benchmarks.scheduling_plots import plots
from benchmarks.speed import CODE, CONVERSATION
from l3sim.orchestrator.engine.policies.l3 import STEP_GQA, STEP_MHA
from l3sim.specs.catalog import load_model

GENERATED = ROOT / "docs" / "generated"
MODELS = ("gpt-175b", "qwen-72b", "opt-66b")
WORKLOADS = ("openr1", "dolphin", "openthoughts", "dolphin-short")
POLICIES = ("l3", "fill", "serial")
SHARES = (0.1, 0.2, 0.4, 0.6, 1.0)
RANKSETS = (1, 2, 4, 8)
#: Of the reference machine: 4 ranksets, 64 ranks of 32 GiB.
BUILT, CAPACITY_BYTES = 4, 64 * 2**35
#: What changes nothing on that machine.
AS_BUILT = ({"attention.memory_share=1"}, {f"attention.ranksets={BUILT}"})
#: All its modules' capacity, which only changes something where fewer ranksets are used. More than are built
#: means the same modules on fewer channels.
WHOLE = f"attention.capacity_bytes={CAPACITY_BYTES}"
FEWER = {f"attention.ranksets={count}" for count in range(1, BUILT)}
#: Of each trace, so that the point at which it saturates the machine lies between.
SPEEDS = {CONVERSATION: (0.5, 0.75, 1, 1.25, 1.5, 2), CODE: (0.25, 0.5, 1, 1.5, 2, 3, 4)}
#: The options are tried on few workloads: each is a dozen runs a model.
OPTION_WORKLOADS = ("openr1", "dolphin-short")
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
        """Of `./l3`, from the root of the tree."""
        trace = self.workload.endswith(".csv")
        workload = relpath(self.workload, ROOT) if trace else self.workload
        words = ["run", workload, "--model", self.model, "--policy", self.policy, *self.more]
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
    for model, workload, name in _product(MODELS, OPTION_WORKLOADS, OPTIONS):
        settings = tuple(f"scheduler.{setting}" for setting in OPTIONS[name])
        yield Run("options", model, workload, "l3", name, settings)


def policies() -> Iterator[Run]:
    """Every policy, on the whole machine."""
    for model, workload, policy in _product(MODELS, WORKLOADS, (*POLICIES, "chunked", "static")):
        yield Run("policies", model, workload, policy, policy)


def load() -> Iterator[Run]:
    """The Azure traces at several speeds, through saturation."""
    for trace, speeds in SPEEDS.items():
        for speed, policy in _product(speeds, POLICIES):
            yield Run("load", "llama-2-70b", trace, policy, f"{speed:g}", more=("--speed", f"{speed:g}"))


PARTS = {part.__name__: part for part in (memory, ranksets, options, policies, load)}


def _product(*axes: Sequence[Any] | dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    if not axes:
        yield ()
        return
    for first in axes[0]:
        for rest in _product(*axes[1:]):
            yield (first, *rest)


def job_of(words: Sequence[str]) -> tuple[str, ...]:
    """What the words of a run come to: two runs of which this is equal are the same job.

    Left out are settings that are the reference machine's own, and N of `l3` where it is the model's.
    """
    plain, settings = list(words), set[str]()
    while "--set" in plain:
        at = plain.index("--set")
        settings.add(plain[at + 1])
        del plain[at : at + 2]
    if not settings & FEWER:
        settings.discard(WHOLE)
    machine = {one for one in settings if one.startswith("attention.")}
    if machine in AS_BUILT:
        settings -= machine
    if "--model" in plain:
        heads = load_model(plain[plain.index("--model") + 1]).queries_per_kv
        settings.discard(f"scheduler.step={STEP_MHA if heads == 1 else STEP_GQA}")
    return (*plain, *sorted(settings))


def words_of(run: Run, requests: int | None) -> list[str]:
    """The words of `./l3` that measure it, with another number of requests than usual."""
    return run.words + (["--requests", str(requests)] if requests else [])


def measure(words: Sequence[str]) -> dict[str, Any]:
    """Run it; the figures of a row, or why it was refused."""
    command = [sys.executable, "-P", "-m", "l3sim", *words, "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        return {"refused": done.stderr.strip().splitlines()[-1]}
    report = json.loads(done.stdout)
    keep = ("tbt_s", "ttft_s", "batch", "utilization", "bubbles", "saturated", "prediction", "preemptions")
    figures = {name: report[name] for name in (*keep, "throughput_tokens_per_s", "makespan_s", "exchange")}
    return {"report": figures, "requests": report["requests"]["submitted"]}


def series(
    runs: Sequence[Run], requests: int | None, known: Mapping[tuple[str, ...], Any], workers: int
) -> Iterator[dict[str, Any]]:
    """Rows of runs, as they come; each job runs once, and not at all where its outcome is known."""
    rows: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        rows.setdefault(job_of(words_of(run, requests)), []).append(run)

    def row(run: Run, outcome: Mapping[str, Any]) -> dict[str, Any]:
        command = shlex.join(["./l3", *words_of(run, requests)])
        return {"key": run.key, "command": command, **outcome}

    pool, asked = ThreadPoolExecutor(workers), {}
    try:
        for job, same in rows.items():
            if job in known:
                yield from (row(run, known[job]) for run in same)
            else:
                asked[pool.submit(measure, words_of(same[0], requests))] = same
        for done in as_completed(asked):
            yield from (row(run, done.result()) for run in asked[done])
    finally:
        pool.shutdown(cancel_futures=True)


def read(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Results in the order of the series; of several with one key the last counts."""
    found = {}
    for path in paths:
        for line in path.read_text().splitlines() if path.is_file() else []:
            result = json.loads(line)
            found[tuple(result["key"])] = result
    order = [tuple(run.key) for part in PARTS.values() for run in part()]
    ordered = [key for key in order if key in found]
    return [found[key] for key in (*ordered, *(key for key in found if key not in set(ordered)))]


def main(argv: Sequence[str]) -> int:
    """Run what is named, or make the page."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.page:
        results = read(arguments.page)
        for name, text in {"scheduling.md": page(results), **plots(results)}.items():
            (arguments.into / name).write_text(text)
        return 0
    unknown = [name for name in arguments.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part is called {unknown[0]!r}; there are: {', '.join(PARTS)}")
    known = read(arguments.skip)
    there = {tuple(one["key"]) for one in known}
    runs = [
        run
        for part in arguments.parts or PARTS
        for run in PARTS[part]()
        if tuple(run.key) not in there and _wanted(run, set(arguments.only))
    ]
    if arguments.list:
        for run in runs:
            print(*run.key, shlex.join(["./l3", *words_of(run, arguments.requests)]))
        return 0
    for trace in {run.workload for run in runs if run.workload.endswith(".csv")}:
        if not Path(trace).is_file():
            print(f"{Path(trace).stem}: skipped, there is no {trace}", file=sys.stderr)
            runs = [run for run in runs if run.workload != trace]
    outcomes = {job_of(shlex.split(one["command"])[1:]): _outcome(one) for one in known}
    for result in series(runs, arguments.requests, outcomes, arguments.workers):
        print(json.dumps(result), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduling", description=__doc__)
    add = parser.add_argument
    add("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    add("--list", action="store_true", help="print the commands and stop")
    add("--page", type=Path, nargs="+", metavar="FILE", help="write the page of these results, and its plots")
    add("--into", type=Path, default=GENERATED, metavar="DIR", help="where the page goes")
    add(
        "--skip", type=Path, nargs="+", default=[], metavar="FILE", help="leave out what stands there already"
    )
    add(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="these models, these workloads; repeatable",
    )
    add("--requests", type=int, help="of each run, instead of 1,000 or all of a trace")
    add("--workers", type=int, default=1, help="runs at a time; default: 1")
    return parser


def _wanted(run: Run, only: Set[str]) -> bool:
    """Whether a run is of the models that are named, if any, and of the workloads that are."""
    models = only & {"llama-2-70b", *MODELS}
    workloads = only - models
    return (not models or run.model in models) and (not workloads or run.key[2] in workloads)


def _outcome(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in ("key", "command")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

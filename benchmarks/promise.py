"""Behind docs/generated/promise.md: what `adaptive` serves beside the GPUs alone and beside `l3`.

    python -m benchmarks.promise --list                    what there is to run
    python -m benchmarks.promise --jobs 2 >> FILE          run it, a JSON object a line
    python -m benchmarks.promise --page FILE               the page, Markdown

`--skip FILE` leaves out what stands in results already; `--only WORD` keeps the cells that have it in their
name. The Azure traces are played where they lie (see tests/README.md), else those cells are left out.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import l3sim
from benchmarks.promise_page import page
from benchmarks.speed import CODE, CONVERSATION
from l3sim.errors import L3Error

#: Requests of each cell: enough that memory decides, few enough for an hour or two on two cores.
CELLS: Mapping[tuple[str, str], int] = {
    ("qwen-72b", "openr1"): 3000,
    ("qwen-72b", "openthoughts"): 1000,
    ("qwen-72b", "dolphin"): 1000,
    ("qwen-72b", "dolphin-short"): 1000,
    ("opt-66b", "openr1"): 300,
    ("opt-66b", "openthoughts"): 300,
    ("opt-66b", "dolphin"): 500,
    ("opt-66b", "dolphin-short"): 500,
    ("gpt-175b", "openr1"): 300,
    ("gpt-175b", "openthoughts"): 300,
    ("gpt-175b", "dolphin"): 500,
    ("gpt-175b", "dolphin-short"): 500,
    ("llama-2-70b", "fixed:128..8192:64..4096"): 1000,
}
#: Traces at the multiple of their own speed at which the GPUs alone are saturated.
TRACES: Mapping[str, float] = {CONVERSATION: 2.0, CODE: 3.0}
TRACE_MODEL = "llama-2-70b"
#: Of `l3`, as published and by its options, at the TP of its source as well.
L3_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "defaults": {},
    "selection=all": {"scheduler.selection": "all"},
    "alignment=2": {"scheduler.alignment": "2"},
    "sub_batches=1": {"scheduler.sub_batches": "1"},
}
SOURCE_TP = {"qwen-72b": 4, "opt-66b": 2, "gpt-175b": 8, "llama-2-70b": 4}


@dataclass(frozen=True)
class Run:
    """One job; `role` is what it stands for in its cell."""

    cell: str
    role: str
    machine: str
    model: str
    workload: str
    policy: str
    tp: int
    requests: int | None = None
    speed: float = 1.0
    settings: tuple[tuple[str, str], ...] = ()
    gpu: str = ""
    bound_by: str = ""

    @property
    def name(self) -> str:
        """Unique among all."""
        return f"{self.cell}, {self.role}"


def runs() -> Iterator[Run]:
    """Everything, in order; runs that are bounded by another one after it."""
    for gpu in ("a100", "h100"):
        for (model, workload), requests in CELLS.items():
            yield from cell_of(gpu, model, workload, requests, 1.0)
        for trace, speed in TRACES.items():
            if Path(trace).is_file():
                yield from cell_of(gpu, TRACE_MODEL, trace, None, speed)


def cell_of(gpu: str, model: str, workload: str, requests: int | None, speed: float) -> Iterator[Run]:
    """GPUs alone, `adaptive` with and without a bound, and on the A100 `l3` by its options."""
    shown = Path(workload).stem if requests is None else workload
    name, with_modules = f"{gpu}, {model}, {shown}", f"l3-dgx-{gpu}"
    common: dict[str, Any] = {"model": model, "workload": workload, "requests": requests, "speed": speed}
    alone: dict[str, Any] = {"machine": "gpu-only-dgx-a100", "gpu": "" if gpu == "a100" else "h100-80gb"}
    yield Run(name, "GPUs alone", policy="chunked", tp=8, **alone, **common)
    yield Run(name, "adaptive", machine=with_modules, policy="adaptive", tp=8, **common)
    yield Run(name, "bounded", machine=with_modules, policy="adaptive", tp=8, bound_by="GPUs alone", **common)
    if gpu == "a100" and requests is not None:
        for option, settings in L3_OPTIONS.items():
            for tp in sorted({8, SOURCE_TP[model]}):
                role = f"l3 {option} TP {tp}"
                keys = tuple(settings.items())
                yield Run(name, role, machine=with_modules, policy="l3", tp=tp, settings=keys, **common)


def measure(run: Run, bound_s: float | None) -> dict[str, Any]:
    """Run one job, in this process."""
    options: dict[str, Any] = {"slo": {"tbt_s": bound_s}} if bound_s else {}
    if run.speed != 1:
        options["speed"] = run.speed
    if run.gpu:
        options["gpu"] = run.gpu
    try:
        report = l3sim.run(
            run.workload,
            machine=run.machine,
            model=run.model,
            policy=run.policy,
            tp=run.tp,
            requests=run.requests,
            settings=dict(run.settings),
            **options,
        ).report
    except L3Error as error:
        return {**asdict(run), "refused": str(error)}
    return {
        **asdict(run),
        "refused": "",
        "bound_s": bound_s,
        "tokens_per_s": report.throughput_tokens_per_s,
        "steady_tokens_per_s": report.steady.throughput_tokens_per_s,
        "gap_p50_s": report.tbt_s.p50,
        "gap_p99_s": report.tbt_s.p99,
        "gap_max_s": report.tbt_s.max,
        "met": report.slo.share.tbt_s,
        "batch": report.batch.mean_requests,
        "preemptions": report.preemptions,
        "recomputed": report.tokens.recomputed,
        "output": report.tokens.output,
        "offered": report.rate.offered,
        "achieved": report.rate.achieved,
    }


def run_all(wanted: Sequence[Run], known: Sequence[dict[str, Any]], jobs: int) -> None:
    """Run what is wanted and not known, and print it as it comes."""
    found = {f"{one['cell']}, {one['role']}": one for one in known}
    free = [run for run in wanted if not run.bound_by and run.name not in found]
    bounded = [run for run in wanted if run.bound_by and run.name not in found]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for some in (free, bounded):
            waiting = []
            for run in some:
                base = found.get(f"{run.cell}, {run.bound_by}", {})
                if not run.bound_by or base.get("gap_p99_s"):
                    waiting.append(pool.submit(measure, run, base.get("gap_p99_s")))
            for one in as_completed(waiting):
                result = one.result()
                found[f"{result['cell']}, {result['role']}"] = result
                print(json.dumps(result), flush=True)


def main(argv: Sequence[str]) -> int:
    """Run what is asked for, or make the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promise", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the name of each run")
    parser.add_argument("--page", type=Path, metavar="FILE", help="print the page of these results")
    parser.add_argument("--skip", type=Path, metavar="FILE", help="leave out what stands there already")
    parser.add_argument("--only", action="append", default=[], help="a word of a name; all must be there")
    parser.add_argument("--requests", type=int, help="of each job, instead of its own number")
    parser.add_argument("--jobs", type=int, default=1, help="at a time")
    arguments = parser.parse_args(argv)
    if arguments.page:
        print(page(read(arguments.page)), end="")
        return 0
    wanted = [run for run in runs() if all(word in run.name for word in arguments.only)]
    if arguments.requests:
        wanted = [Run(**{**asdict(run), "requests": arguments.requests}) for run in wanted]
    if arguments.list:
        print("\n".join(run.name for run in wanted))
        return 0
    run_all(wanted, read(arguments.skip) if arguments.skip else [], arguments.jobs)
    return 0


def read(file: Path) -> list[dict[str, Any]]:
    """Results of a file, which need not be there."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

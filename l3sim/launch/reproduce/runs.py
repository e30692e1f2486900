"""Single runs of the page, each kept by the digest of its job and of the code that ran it.

A page takes many runs; one that was stopped goes on where it was, since what a run came to lies in a folder:
`DIGEST.json`, written whole or not at all. Refusals are found again in no time, and not kept.
"""

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from l3sim.clients.background import Background
from l3sim.clients.job_spec import job_spec
from l3sim.errors import L3Error
from l3sim.launch.in_process import devices_of, run_quietly
from l3sim.launch.reproduce.published import load_published
from l3sim.orchestrator.job.resolve import ResolvedJob, resolve
from l3sim.places import PACKAGE
from l3sim.reports import Report
from l3sim.specs.catalog import load_machine
from l3sim.specs.machine import Machine

#: Why a run that is not in the folder has no outcome, where nothing is to run.
NOT_RUN = "not run"
#: Of the package, what a result depends on; the page itself does not count.
_ROOMS = ("device", "specs", "services", "orchestrator")


@dataclass(frozen=True)
class Run:
    """A job on a machine.

    Attributes:
        settings: (`section.key`, value as YAML text) on top of the machine file.
        modules: attention modules, instead of the machine file's number; 0: that number.
        concurrency: requests that are served at once, the next one when one ends; 0: memory bounds them.
    """

    machine: str
    workload: str
    model: str
    policy: str
    requests: int
    settings: tuple[tuple[str, str], ...] = ()
    modules: int = 0
    concurrency: int = 0

    def on(self) -> Machine:
        """The machine, without the settings."""
        return _machine(self.machine, self.modules)

    def resolved(self) -> ResolvedJob:
        """The job, checked against the machine.

        Raises:
            InvalidInput: it is refused.
        """
        return _resolved(self)


@cache
def _machine(name: str, modules: int) -> Machine:
    return load_machine(name, modules or None)


@cache
def _resolved(run: Run) -> ResolvedJob:
    options: dict[str, Any] = {"model": run.model, "policy": run.policy, "requests": run.requests}
    options |= {"concurrency": run.concurrency or None, "tp": load_published().tp.of(run.model) or None}
    return resolve(job_spec(run.workload, settings=run.settings, **options), run.on())


class Outcome(msgspec.Struct, frozen=True):
    """What a page needs of a report; all None but `refused` where the job was refused or failed."""

    refused: str = ""
    whole_tokens_per_s: float | None = None
    steady_tokens_per_s: float | None = None
    batch: float | None = None
    iteration_s: float | None = None
    tbt_s: float | None = None
    tbt_p50_s: float | None = None
    joules_per_token: float | None = None
    preemptions: int | None = None
    plan_gpu: float | None = None
    plan_attention: float | None = None

    @classmethod
    def of(cls, report: Report) -> "Outcome":
        """Of a report."""
        return cls(
            whole_tokens_per_s=report.throughput_tokens_per_s,
            steady_tokens_per_s=report.steady.throughput_tokens_per_s,
            batch=report.batch.mean_requests,
            iteration_s=report.iteration_s.mean,
            tbt_s=report.tbt_s.mean,
            tbt_p50_s=report.tbt_s.p50,
            joules_per_token=report.energy_j.total / report.tokens.output,
            preemptions=report.preemptions,
            plan_gpu=report.prediction.plans.gpu.median,
            plan_attention=report.prediction.plans.attention.median,
        )


Outcomes = Mapping[Run, Outcome]


def run_one(run: Run, folder: Path, kept: bool = False) -> Outcome:
    """Run a job, or find what it came to in the folder.

    Args:
        kept: do not run what is not there.
    """
    try:
        job = run.resolved()
        file = folder / f"{_key(job)}.json"
        if file.is_file():
            return msgspec.json.decode(file.read_bytes(), type=Outcome)
        if kept:
            return Outcome(refused=NOT_RUN)
        with Background() as background:
            report = background.run(run_quietly(job, devices_of(run.on()))).report
    except L3Error as error:
        return Outcome(refused=str(error))
    if report.broken:
        return Outcome(refused="; ".join(report.broken))
    found = Outcome.of(report)
    beside = file.with_suffix(f".{os.getpid()}")
    beside.write_bytes(msgspec.json.encode(found))
    beside.replace(file)
    return found


def run_all(runs: Iterable[Run], folder: Path, jobs: int, done: Callable[[Run, Outcome], None]) -> Outcomes:
    """Run what is asked for, each once.

    Args:
        folder: where outcomes lie; it is made.
        jobs: processes at a time; 0: nothing runs, and only what is kept is found.
        done: called with each, as it ends.
    """
    asked = list(dict.fromkeys(runs))
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[Run, Outcome] = {}
    if jobs <= 1:
        for run in asked:
            found[run] = run_one(run, folder, kept=not jobs)
            if jobs:
                done(run, found[run])
        return found
    # Spawned, not forked: the parent may have threads.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(run_one, run, folder): run for run in asked}
        for one in as_completed(running):
            found[running[one]] = one.result()
            done(running[one], one.result())
    return found


def _key(job: ResolvedJob) -> str:
    return hashlib.sha256(f"{job.digest} {_code()}".encode()).hexdigest()[:24]


@cache
def _code() -> str:
    """Of all Python files that a result depends on."""
    told = hashlib.sha256()
    files = [*PACKAGE.glob("*.py")]
    for room in _ROOMS:
        files += (PACKAGE / room).resolve().rglob("*.py")
    for file in sorted(files, key=lambda one: (one.parent.name, one.name)):
        told.update(file.read_bytes())
    return told.hexdigest()

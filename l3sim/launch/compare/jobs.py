"""Runs one job on each of several machines, each in a process of its own where cores allow."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from l3sim.clients.background import Background
from l3sim.errors import L3Error
from l3sim.launch.compare.limits import limit_of
from l3sim.launch.in_process import devices_of, run_quietly
from l3sim.orchestrator.job.resolve import policy_for, resolve
from l3sim.orchestrator.job.rooflines import Rooflines, rooflines
from l3sim.reports import Report
from l3sim.specs.catalog import load_machine
from l3sim.specs.job import JobSpec


@dataclass(frozen=True)
class Compared:
    """What became of the job on one machine.

    Attributes:
        machine: its name, or what was asked for when it could not even be loaded.
        report: None where the job was refused or failed.
        refused: why, in one line; empty where it ran.
        error: what was raised there; None where it ran.
        all_bank_faw: its reading of tFAW where all banks open at once; empty where none do.
    """

    machine: str
    policy: str
    report: Report | None = None
    rooflines: Rooflines | None = None
    limit: str = ""
    refused: str = ""
    error: L3Error | None = None
    all_bank_faw: str = ""

    @property
    def exit_code(self) -> int:
        """As `./l3 run` would have ended."""
        return self.error.exit_code if self.error else 0


def run_one(spec: JobSpec, name_or_path: str, gpu: str) -> Compared:
    """Run the job on one machine, in this process; what is refused or fails becomes part of the outcome."""
    name, policy = name_or_path, spec.policy
    try:
        machine = load_machine(name_or_path, gpu=gpu)
        name, policy = machine.name, policy_for(policy, machine)
        resolved = resolve(spec, machine)
        devices = devices_of(machine)
        with Background() as background:
            report = background.run(run_quietly(resolved, devices)).report
    except L3Error as error:
        return Compared(name, policy, refused=str(error), error=error)
    lines = rooflines(resolved.machine, resolved.model, resolved.layout, resolved.table)
    limit = limit_of(report, lines) if lines else ""
    faw = str(machine.section("attention").get("all_bank_faw", ""))
    return Compared(name, policy, report, lines, limit, all_bank_faw=faw)


def run_all(
    spec: JobSpec, machines: Sequence[str], gpu: str, workers: int, done: Callable[[Compared], None]
) -> list[Compared]:
    """Run the job on every machine; outcomes in the order of `machines`.

    A job that names no model is of the first machine's default model, on all of them.

    Args:
        workers: processes at a time; 0: as many as there are cores.
        done: called with each outcome, in that order.

    Raises:
        InvalidInput: the first machine cannot be loaded, and the job names no model.
    """
    spec = replace(spec, model=spec.model or load_machine(machines[0], gpu=gpu).default_model)
    workers = min(workers or os.cpu_count() or 1, len(machines))
    found: list[Compared] = []
    if workers == 1:
        for name in machines:
            found.append(run_one(spec, name, gpu))
            done(found[-1])
        return found
    # Spawned, not forked: the parent may have threads.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(run_one, spec, name, gpu) for name in machines]
        for one in running:
            found.append(one.result())
            done(found[-1])
    return found

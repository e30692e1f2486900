"""`run --in-process`: the same engine and models without network, processes or broker."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from l3sim.clients.endings import refuse_broken
from l3sim.clients.options import OutputOptions
from l3sim.clients.progress import ProgressView
from l3sim.clients.report_view import print_report
from l3sim.clients.saved import make_folder, pretty, save
from l3sim.clients.waiting import note_warnings
from l3sim.launch import signals
from l3sim.launch.options import MachineOptions
from l3sim.launch.plan import DeviceProcess, plan_devices, refuse_absent
from l3sim.launch.up import say
from l3sim.orchestrator.engine.progress import Progress, Span
from l3sim.orchestrator.job.resolve import ResolvedJob, resolve
from l3sim.orchestrator.run.job import JobResult, run_job
from l3sim.specs.job import JobSpec
from l3sim.specs.machine import Machine
from l3sim.transport.in_process import InProcessSource

#: As many modules as a machine can have.
MAX_MODULES = 4096


class _Watcher:
    """Shows an engine's progress to the person at the terminal."""

    def __init__(self, view: ProgressView) -> None:
        self._view = view

    def progress(self, progress: Progress) -> None:
        self._view.update("running", progress)

    def spans(self, slot: str, spans: Sequence[Span]) -> None:
        """Single tasks are not watched here; --out keeps them."""


def source_of(processes: list[DeviceProcess]) -> InProcessSource:
    """The devices of these processes, all in this one."""
    return InProcessSource({f"in-process/{process.name}": process.device() for process in processes})


class _Nobody:
    """Watches nothing."""

    def progress(self, progress: Progress) -> None:
        """Asks none again: nothing announces itself here."""

    def spans(self, slot: str, spans: Sequence[Span]) -> None:
        """Asks none again: nothing announces itself here."""


def devices_of(machine: Machine, overrides: Sequence[str] = ()) -> InProcessSource:
    """All devices of a machine as its file has it, in this process. Reads files: call it where no loop runs.

    Args:
        overrides: `slot.key=value` for single devices.

    Raises:
        InvalidInput: an override is refused, or nobody here offers a kind that the machine asks for.
    """
    refuse_absent(machine)
    return source_of(plan_devices(machine, MAX_MODULES, overrides))


async def run_quietly(job: ResolvedJob, devices: InProcessSource) -> JobResult:
    """Run a job on devices in this process, and show nothing.

    Raises:
        L3Error: the job failed.
    """
    return await run_job(job, devices, _Nobody(), asyncio.Event())


def run_in_process(spec: JobSpec, options: MachineOptions, output: OutputOptions) -> None:
    """Run one job in this process, and hand out its report.

    Raises:
        signals.Ended: Ctrl-C or the like.
        L3Error: the job was refused or failed.
    """
    # One object for all modules: a model takes an array of them, and no call is spared otherwise.
    machine, processes = replace(options, modules_per_process=MAX_MODULES).plan()
    refuse_absent(machine)
    if output.out is not None:
        make_folder(output.out)
    resolved = resolve(spec, machine)
    note_warnings(resolved.warnings)
    with ProgressView("job") as view:
        result = signals.run(run_job(resolved, source_of(processes), _Watcher(view), asyncio.Event()))
    text = pretty(result.report.to_dict())
    if output.out is not None:
        written = save(output.out, text, result.artifacts)
        say(f"wrote {', '.join(str(path) for path in written)}")
    if output.json:
        print(text)
    else:
        print_report(result.report)
    refuse_broken(result.report)

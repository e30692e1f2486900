"""`run`: a machine for one job: started, used and stopped."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from l3sim.clients.client import Client
from l3sim.clients.options import OutputOptions
from l3sim.clients.saved import make_folder
from l3sim.clients.waiting import deliver, submit_and_wait
from l3sim.errors import L3Error
from l3sim.launch import signals
from l3sim.launch.local import LocalMachine
from l3sim.launch.options import MachineOptions
from l3sim.launch.plan import DeviceProcess
from l3sim.launch.up import say
from l3sim.reports import Report
from l3sim.specs.job import JobSpec
from l3sim.specs.machine import Machine

T = TypeVar("T")


def run_on_processes(spec: JobSpec, options: MachineOptions, output: OutputOptions) -> Report:
    """Run one job on a machine of processes that exists for it alone; hand out its report, and return it.

    Raises:
        signals.Ended: Ctrl-C or the like; the job is cancelled and everything stopped.
        L3Error: the machine could not start, or the job was refused or failed.
    """
    planned = options.plan()  # bad input is refused before anything is made
    if output.out is not None:
        make_folder(output.out)

    async def job(address: str) -> Report:
        async with Client(address) as client:
            done = await submit_and_wait(client, spec)
            return await deliver(client, done.job_id, output)

    with logs_folder() as folder:
        return signals.run(on_processes(options, planned, folder, job))


@contextmanager
def logs_folder() -> Iterator[Path]:
    """A folder for the journal and the logs of a machine; kept, and named, where it did not end well."""
    folder = Path(tempfile.mkdtemp(prefix="l3-"))
    keep = False
    try:
        yield folder
    except L3Error as error:
        keep = error.exit_code != 2  # bad input needs no logs
        raise
    finally:
        if keep:
            say(f"the logs of the machine are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def on_processes(
    options: MachineOptions,
    planned: tuple[Machine, list[DeviceProcess]],
    folder: Path,
    work: Callable[[str], Coroutine[Any, Any, T]],
) -> T:
    """Do something with the address of a machine of processes that exists for it alone.

    Args:
        planned: what `options.plan()` says, which reads files.
        folder: for its journal and logs.

    Raises:
        L3Error: the machine could not start, or broke; whatever the work raises.
    """
    machine, devices = planned
    local = LocalMachine(machine, options.machine, options.gpu, devices, folder, folder, "127.0.0.1:0", say)
    async with local:
        return await _while_it_holds(work(local.address), local)


async def _while_it_holds(work: Coroutine[Any, Any, T], local: LocalMachine) -> T:
    """Do the work unless the machine breaks first; when we are cancelled, so is the work, to its end."""
    job, broken = asyncio.create_task(work), asyncio.create_task(local.broken())
    try:
        await asyncio.wait((job, broken), return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            broken.result()
        return job.result()
    finally:
        job.cancel()
        broken.cancel()
        await asyncio.gather(job, broken, return_exceptions=True)

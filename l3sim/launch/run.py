"""`run`: a machine for one job: started, used and stopped."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from l3sim.clients.client import L3Client
from l3sim.clients.options import OutputOptions
from l3sim.clients.saved import make_folder
from l3sim.clients.waiting import deliver, submit_and_wait
from l3sim.errors import L3Error
from l3sim.launch import signals
from l3sim.launch.local import LocalMachine
from l3sim.launch.options import MachineOptions
from l3sim.launch.up import say
from l3sim.specs.job import JobSpec


def run_on_processes(spec: JobSpec, options: MachineOptions, output: OutputOptions) -> None:
    """Run one job on a machine of processes that exists for it alone, and hand out its report.

    Raises:
        signals.Ended: Ctrl-C or the like; the job is cancelled and everything stopped.
        L3Error: the machine could not start, or the job was refused or failed.
    """
    machine, devices = options.plan()
    if output.out is not None:
        make_folder(output.out)
    folder = Path(tempfile.mkdtemp(prefix="l3-"))
    keep = False

    async def serve() -> None:
        local = LocalMachine(
            machine, options.machine, options.gpu, devices, folder, folder, "127.0.0.1:0", say
        )
        async with local:
            await _while_it_holds(_job(local.address, spec, output), local)

    try:
        signals.run(serve())
    except L3Error as error:
        keep = error.exit_code != 2  # bad input needs no logs
        raise
    finally:
        if keep:
            say(f"the logs of the machine are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _job(address: str, spec: JobSpec, output: OutputOptions) -> None:
    async with L3Client(address) as client:
        done = await submit_and_wait(client, spec)
        await deliver(client, done.job_id, output)


async def _while_it_holds(work: Coroutine[Any, Any, None], local: LocalMachine) -> None:
    """Do the work unless the machine breaks first; when we are cancelled, so is the work, to its end."""
    job, broken = asyncio.create_task(work), asyncio.create_task(local.broken())
    try:
        await asyncio.wait((job, broken), return_when=asyncio.FIRST_COMPLETED)
        (job if job.done() else broken).result()
    finally:
        job.cancel()
        broken.cancel()
        await asyncio.gather(job, broken, return_exceptions=True)

"""Submit a job, follow it to its end, and bring home what it left."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from l3sim.clients.client import Client
from l3sim.clients.endings import refuse_broken, succeeded
from l3sim.clients.options import OutputOptions
from l3sim.clients.progress import ProgressView
from l3sim.clients.report_view import print_report
from l3sim.clients.saved import pretty, save
from l3sim.clients.tables import state_name
from l3sim.errors import L3Error
from l3sim.reports import Report
from l3sim.specs.job import JobSpec
from l3sim.v1 import job_pb2


def as_called(text: str) -> str:
    """Commands in a text as this one was called: `./l3` in a checkout, `l3` once installed."""
    return text.replace("./l3 ", "l3 ") if Path(sys.argv[0]).name == "l3" else text


def note(text: str) -> None:
    """Tell the person at the terminal, on standard error."""
    print(f"l3: {as_called(text)}", file=sys.stderr, flush=True)


def note_warnings(warnings: Sequence[str]) -> None:
    """Tell what the machine found odd about a job."""
    for warning in warnings:
        note(f"warning: {warning}")


async def submit_and_wait(client: Client, spec: JobSpec) -> job_pb2.Job:
    """Submit a job and show its progress until it has succeeded.

    When the surrounding task is cancelled (Ctrl-C under asyncio.run), so is the job, even one whose
    acceptance was still on its way.

    Raises:
        Cancelled: another client cancelled it.
        L3Error: it was refused, or it failed.
    """
    submission = asyncio.ensure_future(client.submit(spec))
    try:
        job, warnings = await asyncio.shield(submission)
        note_warnings(warnings)
        return await follow(client, job.job_id)
    except asyncio.CancelledError:
        await _withdraw(client, submission)
        raise


async def follow(client: Client, job_id: str) -> job_pb2.Job:
    """Show a job's progress until it has succeeded.

    Raises:
        NotFound: there is none of that id.
        Cancelled: it was cancelled.
        L3Error: it failed; of the class of the reason.
    """
    with ProgressView(job_id) as view:
        async for job in client.watch(job_id):
            view.update(state_name(job), job.progress)
    return succeeded(job)


async def deliver(client: Client, job_id: str, output: OutputOptions) -> Report:
    """Print a job's report, save it with its files where the options say so, and return it.

    Raises:
        NotFound: there is none of that id.
        NotReady: it has not succeeded.
        InvariantBroken: the report, which is out by now, says that the simulator contradicted itself.
    """
    text = await client.report_json(job_id)
    # What is handed on is all that the machine wrote, also what only a newer version than ours reads.
    report, plain = Report.from_json(text), pretty(json.loads(text))
    if output.out is not None:
        artifacts = await client.artifacts(job_id)
        written = await asyncio.to_thread(save, output.out, plain, artifacts)
        note(f"wrote {', '.join(map(str, written))}")
    if output.json:
        print(plain)
    else:
        print_report(report)
    refuse_broken(report)
    return report


async def _withdraw(client: Client, submission: "asyncio.Future[tuple[job_pb2.Job, list[str]]]") -> None:
    try:
        job, _ = await submission
    except L3Error:
        return  # never accepted: nothing to cancel
    try:
        job = await client.cancel(job.job_id)
        note(f"{job.job_id} {state_name(job)}" if job.ended_at else f"asked {job.job_id} to stop")
    except L3Error as error:
        note(f"could not cancel {job.job_id}: {error}")

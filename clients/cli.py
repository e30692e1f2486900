"""The command line of a machine that runs somewhere: submit, jobs, watch, cancel, report, devices.

`launch` adds the commands that start machines to the same `app`, and both end in `main`:

    exit code 0, or 1 (the job failed), 2 (bad input), 3 (no machine or device), 130 (Ctrl-C);
    results on standard output; everything else, errors as one line, on standard error.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer
from typer.main import get_command

from l3sim import VERSION
from l3sim.clients import completion
from l3sim.clients.address import find_address
from l3sim.clients.client import Client
from l3sim.clients.decisions_view import print_decisions, print_regret, read_lines
from l3sim.clients.endings import succeeded
from l3sim.clients.groups import grouped
from l3sim.clients.options import (
    AddressOption,
    JobArgument,
    JobOptions,
    JsonOption,
    OutputOptions,
    WorkloadArgument,
)
from l3sim.clients.report_view import wide
from l3sim.clients.saved import make_folder
from l3sim.clients.tables import device_values, devices_table, job_values, jobs_table, print_whole, state_name
from l3sim.clients.waiting import deliver, follow, note, note_warnings, submit_and_wait
from l3sim.errors import InvalidInput, L3Error, NotFound, Unreachable

T = TypeVar("T")

app = typer.Typer(
    name="l3",
    help="A virtual L3 machine: start one, submit inference jobs to it, read what it would have delivered.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"l3 {VERSION}")
        raise typer.Exit


@app.callback()
def _application(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the one place where errors become a line and an exit code.

    Args:
        argv: words after the program's name; those of the process by default. None at all ask for help.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if completion.ASKED in os.environ:
        completion.complete_names(app)
    try:
        code = get_command(app).main(args=words or ["--help"], prog_name="l3", standalone_mode=False)
    except typer.TyperException as error:
        _complain(error.format_message())
        return error.exit_code
    except Unreachable as error:
        _complain(f"{error}; start a machine with ./l3 up, or name one with --address")
        return error.exit_code
    except L3Error as error:
        _complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has enough; the interpreter's last flush must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0


def _complain(text: str) -> None:
    note(f"error: {' '.join(text.split())}")


def with_machine(address: str | None, work: Callable[[Client], Awaitable[T]]) -> T:
    """Run `work` with a client of the machine that --address or the surroundings name.

    Raises:
        Unreachable: no machine answers there.
    """

    at = find_address(address, os.environ)

    async def connected() -> T:
        async with Client(at) as client:
            return await work(client)

    return asyncio.run(connected())


def print_json(value: Any) -> None:
    """Print a result for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


@app.command()
@grouped
def submit(
    workload: WorkloadArgument,
    job: JobOptions,
    output: OutputOptions,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait and print the report; Ctrl-C cancels the job.")
    ] = False,
    address: AddressOption = None,
) -> None:
    """Submit a job; prints its id, or its report with --wait."""
    if output.out is not None:
        if not wait:
            raise InvalidInput(("--out", "needs --wait; or use `report JOB --out DIR` later"))
        make_folder(output.out)
    spec = job.spec(workload)

    async def work(client: Client) -> None:
        if wait:
            done = await submit_and_wait(client, spec)
            await deliver(client, done.job_id, output)
            return
        accepted, warnings = await client.submit(spec)
        note_warnings(warnings)
        if output.json:
            print_json(job_values(accepted))
        else:
            print(accepted.job_id)

    with_machine(address, work)


@app.command()
def jobs(address: AddressOption = None, as_json: JsonOption = False) -> None:
    """List every job that was ever accepted, newest first."""
    found = with_machine(address, lambda client: client.jobs())
    if as_json:
        print_json([job_values(job) for job in found])
    else:
        print_whole(jobs_table(found))


@app.command()
def watch(job: JobArgument, address: AddressOption = None, as_json: JsonOption = False) -> None:
    """Follow a job until it ends; --json prints an object a line."""

    async def work(client: Client) -> None:
        if not as_json:
            print(f"{job} {state_name(await follow(client, job))}")
            return
        async for event in client.watch(job):
            print(json.dumps(job_values(event), ensure_ascii=False), flush=True)
        succeeded(event)

    with_machine(address, work)


@app.command()
def cancel(job: JobArgument, address: AddressOption = None, as_json: JsonOption = False) -> None:
    """Ask a job to stop; one that has ended stays as it is."""
    found = with_machine(address, lambda client: client.cancel(job))
    if as_json:
        print_json(job_values(found))
    else:
        print(f"{found.job_id} {state_name(found)}")


@app.command()
@grouped
def report(
    job: JobArgument,
    output: OutputOptions,
    decisions: Annotated[
        bool, typer.Option("--decisions", help="Explain the scheduler's plans instead.")
    ] = False,
    regret: Annotated[
        bool,
        typer.Option(
            "--regret", help="Show what plans cost against alternatives; the job ran with --regret K."
        ),
    ] = False,
    address: AddressOption = None,
) -> None:
    """Print the report of a job that succeeded."""
    if decisions and regret:
        raise InvalidInput(("--decisions", "excludes --regret; ask for one of them"))
    if not (decisions or regret):
        with_machine(address, lambda client: deliver(client, job, output))
        return
    if output.out is not None:
        raise InvalidInput(("--out", "goes with the report; decisions.jsonl is among its files"))
    name, show = ("decisions.jsonl", print_decisions) if decisions else ("regret.jsonl", print_regret)
    try:
        records = read_lines(with_machine(address, lambda client: client.artifact(job, name)))
    except NotFound as error:
        raise NotFound(f"{error}; submit the job with --regret K" if regret else str(error)) from None
    if output.json:
        print_json(records)
    else:
        show(records, wide())


@app.command()
def devices(address: AddressOption = None, as_json: JsonOption = False) -> None:
    """List the devices on the machine."""
    found = with_machine(address, lambda client: client.devices())
    if as_json:
        print_json([device_values(device) for device in found])
    else:
        print_whole(devices_table(found))

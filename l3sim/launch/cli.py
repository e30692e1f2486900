"""The whole `./l3` command line: the clients' commands, and those that start machines and run the tests."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from l3sim.clients.cli import app, main, print_json
from l3sim.clients.groups import grouped
from l3sim.clients.numbers import whole
from l3sim.clients.options import JobOptions, JsonOption, OutputOptions, WorkloadArgument
from l3sim.launch import signals
from l3sim.launch.compare.app import compare
from l3sim.launch.conformance import conformance
from l3sim.launch.lists import gpu_app, model_app
from l3sim.launch.machine import app as machine_app
from l3sim.launch.options import MachineOptions
from l3sim.launch.probe.app import app as probe_app
from l3sim.launch.reproduce.app import reproduce
from l3sim.launch.swap.app import swap

# Commands import what they need when they run: `./l3 jobs` should not wait for the engine to load.
app.add_typer(probe_app)
app.command()(conformance)
app.add_typer(machine_app)
app.add_typer(model_app)
app.add_typer(gpu_app)
app.command()(swap)
app.command()(grouped(compare))
app.command()(reproduce)


@app.command()
@grouped
def up(
    options: MachineOptions,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where jobs are accepted; port 0: any free port.")
    ] = "127.0.0.1:0",
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when it is ready; `down` stops it.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Start a machine of processes on this computer, and keep it until Ctrl-C or `down`."""
    from l3sim.launch.up import up, up_detached

    options.plan()  # bad input is refused here, not in the background
    if detach:
        return up_detached([*options.arguments(), "--listen", listen, *(["--json"] if as_json else [])])
    up(options, listen, as_json)
    return 0


@app.command()
def down() -> None:
    """Stop the machine of `up`."""
    from l3sim.launch.up import down

    down()


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Show the machine of `up` and the state of its processes."""
    from l3sim.launch.up import status

    state = status()
    if as_json:
        print_json(state)
        return
    print(f"machine {state['machine']} is up at {state['address']} (pid {state['pid']})")
    for part in state["parts"]:
        print(f"  {part['name']:<14} {part['state']:<8} pid {part['pid']:<8} {part['address']}")


@app.command()
@grouped
def run(
    workload: WorkloadArgument,
    options: MachineOptions,
    job: JobOptions,
    output: OutputOptions,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="No network, no processes; the same result.")
    ] = False,
) -> None:
    """Start a machine, run one job on it, print the report, and stop it."""
    spec = job.spec(workload)
    if in_process:
        from l3sim.launch.in_process import run_in_process

        run_in_process(spec, options, output)
    else:
        from l3sim.launch.run import run_on_processes

        run_on_processes(spec, options, output)


@app.command()
@grouped
def demo(output: OutputOptions) -> None:
    """Run the reference machine and its main job once, and set it beside its GPUs alone."""
    from l3sim.launch.demo import demo

    demo(output)


@app.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def check_all(
    context: typer.Context,
    fast: Annotated[
        bool, typer.Option("--fast", help="All checks, and what takes less than a minute.")
    ] = False,
    coverage: Annotated[bool, typer.Option("--coverage", help="Also print which lines ran.")] = False,
    oldest: Annotated[
        bool, typer.Option("--oldest", help="The fast tests with the oldest dependencies allowed.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            parser=whole("--workers", 0, 256),
            metavar="N",
            help="Run tests side by side in N processes; default: one a core.",
        ),
    ] = 0,
) -> int:
    """Run every check and the whole test suite, as CI does; with arguments, only pytest with them."""
    from l3sim.launch.gates import Selection, run_tests

    return run_tests(Selection(context.args, fast, coverage, oldest, workers))


def entry(words: Sequence[str] | None = None) -> int:
    """Run a command line; that of this process by default. Returns the exit code."""
    try:
        return main(words)
    except signals.Ended as ended:
        return ended.exit_code


if __name__ == "__main__":
    sys.exit(entry())

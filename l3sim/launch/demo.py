"""`demo`: the reference machine and its main job, and what its modules add to its GPUs."""

import sys

from rich.table import Table

from l3sim.clients.options import JobOptions, OutputOptions
from l3sim.clients.tables import print_whole
from l3sim.clients.waiting import as_called
from l3sim.launch import signals
from l3sim.launch.in_process import devices_of, run_quietly
from l3sim.launch.options import MachineOptions
from l3sim.launch.run import run_on_processes
from l3sim.orchestrator.job.resolve import resolve
from l3sim.reports import Report
from l3sim.specs.catalog import load_machine
from l3sim.specs.job import JobSpec

#: Lines of the table.
NAMES = ("tokens/s", "requests at once", "ms between tokens (median)", "J/token")
#: The same GPUs without modules that compute.
ALONE = "gpu-only-dgx-a100"

BEGIN = """\
Starting the virtual machine l3-dgx-a100 on this computer: 8 GPUs, 32 memory modules that compute, and
the links between them. Each is a process of its own, and they speak gRPC. Then gpt-175b answers 200
requests of the workload openr1 (short questions, answers of thousands of tokens) in virtual time."""

BETWEEN = """
The machine is stopped again. Now the same job on its GPUs alone, in this process ..."""

HOW_TO_READ = """
Weights leave the GPUs little room for KV, so that few requests are served at once, and every token costs
them the whole weights. With the KV cache in modules that attend to it, many requests share each reading.
A token then takes longer to come, since more are made at once: the price is in the third line.

To go on:
  ./l3 compare dolphin --machine gpu-only-dgx-a100 --machine l3-dgx-a100   another workload, side by side
  ./l3 run openr1 --requests 200 --policy serial   without interleaving: what the overlap gains
  ./l3 up --detach, ./l3 submit dolphin --wait     a machine that stays, and jobs for it
  ./l3 --help, README.md                           all commands, and how to read the report"""


def demo(output: OutputOptions) -> None:
    """Run the job on both machines and print both reports' gist.

    Raises:
        signals.Ended: Ctrl-C or the like.
        L3Error: a machine could not start, or a job failed.
    """
    say = sys.stderr if output.json else sys.stdout
    print(BEGIN, file=say, flush=True)
    spec = JobOptions(model="gpt-175b", requests=200).spec("openr1")
    with_modules = run_on_processes(spec, MachineOptions(), output)
    print(BETWEEN, file=say, flush=True)
    alone = _alone(spec)
    print_whole(gains(with_modules, alone), say)
    print(as_called(HOW_TO_READ), file=say, flush=True)


def _alone(spec: JobSpec) -> Report:
    machine = load_machine(ALONE)
    return signals.run(run_quietly(resolve(spec, machine), devices_of(machine))).report


def gains(with_modules: Report, alone: Report) -> Table:
    """What modules add, a measure a line; the ratio is that of both machines."""
    table = Table(box=None, pad_edge=False)
    for head in ("", "GPUs alone", "with modules", "ratio"):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for name, before, after in zip(NAMES, _measures(alone), _measures(with_modules), strict=True):
        table.add_row(name, f"{before:,.4g}", f"{after:,.4g}", f"{after / before:.2f}" if before else "-")
    return table


def _measures(report: Report) -> tuple[float, ...]:
    """By `NAMES`; requests of one token have no gaps, which is 0."""
    return (
        report.throughput_tokens_per_s,
        report.batch.mean_requests * report.parallel.dp,
        (report.tbt_s.p50 or 0.0) * 1e3,
        report.energy_j.total / report.tokens.output,
    )

"""`l3sim.run` and `l3sim.compare`: the commands of the same names, for scripts and notebooks.

Both block, also where an event loop runs already (Jupyter); Ctrl-C cancels the job. Whatever goes wrong is an
`l3sim.errors.L3Error` with the line that the command would print.
"""

import inspect
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from l3sim.clients.background import Background
from l3sim.clients.client import Client
from l3sim.clients.endings import refuse_broken
from l3sim.clients.job_spec import OPTIONS, job_spec, split_settings, texts_of
from l3sim.clients.numbers import whole
from l3sim.clients.result import Result
from l3sim.errors import InvalidInput, L3Error
from l3sim.launch.compare.jobs import Compared, run_all
from l3sim.launch.compare.tables import comparison, rows_of, table_of
from l3sim.launch.in_process import devices_of, run_quietly
from l3sim.launch.options import DEFAULT_MACHINE, MachineOptions
from l3sim.launch.run import logs_folder, on_processes
from l3sim.orchestrator.job.resolve import resolve
from l3sim.specs.catalog import load_machine
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec

#: Width of a comparison as text.
WIDTH = 160
MODULES = whole("modules_per_process", 1, 4096)


def run(
    workload: str | os.PathLike[str] | WorkloadSpec,
    *,
    machine: str | os.PathLike[str] = DEFAULT_MACHINE,
    gpu: str | os.PathLike[str] = "",
    settings: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    in_process: bool = True,
    modules_per_process: int | None = None,
    **options: Any,
) -> Result:
    """Run one job on a machine that exists for it alone.

    Args:
        workload: a name, `fixed:IN:OUT`, a trace file, or a specification.
        machine, gpu: a name from `machines/` or `gpus/`, or a YAML file.
        settings: above the machine file, by `slot.key` (`--set`): {"attention.level": "command"}.
        overrides: for single devices, by `slot.key` (`--override`): {"dimm-02.ccd_l_tck": 16}.
        in_process: without network; else with a process for each device. The result is the same.
        modules_per_process: DIMM modules in one process, 1 by default; only where there are processes.
        options: those of a job, by the flags of `l3 run` without dashes: model, policy, requests, seed, rate,
            concurrency, slo, spans, ... None is the default.

    Raises:
        InvalidInput: whatever of it is refused.
        InvariantBroken: the simulator contradicted itself.
        L3Error: the job failed.
    """
    spec = job_spec(workload, settings=split_settings(texts_of(settings)), **options)
    if in_process and modules_per_process is not None:
        text = "is for processes; set in_process=False, or leave it away"
        raise InvalidInput(("modules_per_process", text))
    shared = 1 if modules_per_process is None else MODULES(str(modules_per_process))
    asked = MachineOptions(os.fspath(machine), os.fspath(gpu), shared, texts_of(overrides))
    result = _in_this_process(spec, asked) if in_process else _on_processes(spec, asked)
    refuse_broken(result.report)
    return result


def _in_this_process(spec: JobSpec, asked: MachineOptions) -> Result:
    machine = load_machine(asked.machine, gpu=asked.gpu)
    resolved, devices = resolve(spec, machine), devices_of(machine, asked.override or [])
    with Background() as background:
        done = background.run(run_quietly(resolved, devices))
    return Result(done.report, done.artifacts)


def _on_processes(spec: JobSpec, asked: MachineOptions) -> Result:
    planned = asked.plan()  # bad input is refused before anything is made
    with logs_folder() as folder, Background() as background:
        return background.run(on_processes(asked, planned, folder, lambda address: _served(address, spec)))


async def _served(address: str, spec: JobSpec) -> Result:
    async with Client(address) as client:
        job, _ = await client.submit(spec)
        await client.wait(job.job_id)
        return await client.result(job.job_id)


@dataclass(frozen=True, repr=False)
class Comparison:
    """One job on several machines; ratios are to the first on which it ran.

    Attributes:
        workload: its name.
        outcomes: what became of it on each machine, in the order asked.
    """

    workload: str
    outcomes: Sequence[Compared]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row a machine, as `--csv` has it; `pandas.DataFrame` takes them as they are."""
        return rows_of(self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Rows, rooflines and reports, as `--json` has them."""
        return comparison(self.workload, self.outcomes)

    def __iter__(self) -> Iterator[Compared]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __getitem__(self, machine: str) -> Compared:
        """What became of the job on a machine, by its name.

        Raises:
            KeyError: it was not asked for.
        """
        for one in self.outcomes:
            if one.machine == machine:
                return one
        raise KeyError(machine)

    def __str__(self) -> str:
        """The table that the command line prints."""
        from rich.console import Console

        console = Console(file=io.StringIO(), width=WIDTH, highlight=False)
        with console.capture() as shown:
            console.print(table_of(self.outcomes))
        refused = [f"{one.machine} refused: {one.refused}" for one in self.outcomes if one.refused]
        return "\n".join([*(line.rstrip() for line in shown.get().splitlines()), *refused])

    def __repr__(self) -> str:
        return f"<Comparison of {self.workload} on {', '.join(one.machine for one in self.outcomes)}>"


def compare(
    workload: str | os.PathLike[str] | WorkloadSpec,
    machines: Sequence[str | os.PathLike[str]],
    *,
    gpu: str | os.PathLike[str] = "",
    settings: Mapping[str, Any] | None = None,
    workers: int = 1,
    **options: Any,
) -> Comparison:
    """Run one job on several machines, in this process, and set the results side by side.

    A machine that refuses the job, or on which it fails, has the reason in `refused`. A job that names no
    model is of the first machine's default one, on all of them.

    Args:
        machines: names from `machines/`, or YAML files.
        gpu: another GPU, in all of them.
        workers: processes at a time. Above 1, a script needs `if __name__ == "__main__":` around its calls.
        options: those of a job, as of `run`; policy "auto" is l3, or chunked where the GPUs attend.

    Raises:
        L3Error: as the command line: whatever of it is refused, or why the first machine did not run the job,
            where none did.
    """
    if isinstance(machines, str | os.PathLike) or not machines:
        raise InvalidInput(("machines", f"must be a list of machines, got {machines!r}"))
    spec = job_spec(workload, settings=split_settings(texts_of(settings)), **options)
    if spec.spans_rounds:
        raise InvalidInput(("--spans", "compare keeps no spans; use run"))
    outcomes = run_all(spec, [os.fspath(one) for one in machines], os.fspath(gpu), workers, lambda _: None)
    if all(one.refused for one in outcomes):
        first = outcomes[0]
        failed = first.error or L3Error(first.refused)
        failed.args = (f"{first.machine}: {first.refused}",)  # the same error, which says where
        raise failed
    return Comparison(spec.workload.name, outcomes)


def _with_options(call: Callable[..., Any]) -> None:
    """Let help and completion show the options of a job in the place of `**options`."""
    own = list(inspect.signature(call).parameters.values())[:-1]
    job = [inspect.Parameter(keyword, inspect.Parameter.KEYWORD_ONLY, default=None) for keyword in OPTIONS]
    call.__signature__ = inspect.Signature([*own, *job])  # type: ignore[attr-defined]


for _call in (run, compare):
    _with_options(_call)

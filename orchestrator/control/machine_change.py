"""Another machine in the place of the present one, between two jobs: what a swap of devices comes down to.

    request ── no job? ── who is at its addresses? ── every slot filled? ── Hello to all ── no job? ── change

Nothing changes before all of it holds, so a machine that was refused leaves the old one as it was.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from l3sim.errors import InvalidInput, L3Error, NotReady
from l3sim.orchestrator.control.discovery import Discovery
from l3sim.orchestrator.job.resolve import resolve
from l3sim.orchestrator.run.sessions import Sessions
from l3sim.ports import DeviceSource
from l3sim.specs.job import JobSpec
from l3sim.specs.machine import Machine, machine_from
from l3sim.specs.workload import WorkloadSpec

#: In the folder of the journal.
FILE = "changed-machine.json"


class MachineChange:
    """Changes the machine that discovery fills and jobs are resolved against.

    Args:
        source: connects to the devices.
        jobs: ids of the jobs that run or wait.
        state: folder in which a change outlives this process.
    """

    def __init__(
        self, discovery: Discovery, source: DeviceSource, jobs: Callable[[], Sequence[str]], state: Path
    ) -> None:
        self._discovery = discovery
        self._source = source
        self._jobs = jobs
        self._state = state

    async def change(self, resolved_yaml: str) -> Machine:
        """Put a machine in the place of the present one.

        Raises:
            NotReady: a job runs or waits, or a role has too few devices or too many.
            InvalidInput: the machine is refused, by us or by a device at Hello.
            L3Error: whatever else a device answered.
        """
        refuse_busy(self._jobs())
        machine = machine_from(_parsed(resolved_yaml), "the new machine")
        try:
            await self._discovery.look(machine)
            await self._greet(machine)
            fresh = await asyncio.to_thread(_written, self._state, resolved_yaml)
            refuse_busy(self._jobs())
            fresh.replace(self._state / FILE)  # no await between: no job comes in that sees two machines
        except BaseException:
            self._discovery.change(self._discovery.machine)
            raise
        self._discovery.change(machine)
        return machine

    async def _greet(self, machine: Machine) -> None:
        """Say Hello to all devices as a small job would, so that none refuses the first real one."""
        policy = "chunked" if machine.placement == "gpu" else "l3"
        spec = JobSpec(WorkloadSpec("fixed:1:1", count=1), policy=policy)
        sessions = await Sessions.open(resolve(spec, machine), self._source)
        await sessions.abort()


def refuse_busy(jobs: Sequence[str]) -> None:
    """Refuse to change a machine under its jobs.

    Raises:
        NotReady: naming the first of them.
    """
    if jobs:
        more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
        raise NotReady(
            f"{jobs[0]}{more} has not ended, and a machine changes between jobs only; wait for it "
            f"(./l3 watch {jobs[0]}) or cancel it (./l3 cancel {jobs[0]})"
        )


def kept(state: Path, begun: Machine) -> Machine:
    """The machine that a change has left in a folder, or the one that this process was started with.

    A change counts on the computer, or in the container, that made it: a new container begins anew.

    Raises:
        InvalidInput: what was left cannot be read.
    """
    path = state / FILE
    try:
        left = json.loads(path.read_text(encoding="utf-8"))
        if left["host"] == socket.gethostname():
            return machine_from(_parsed(left["machine"]), str(path))
    except FileNotFoundError:
        return begun
    except (ValueError, KeyError, TypeError, L3Error) as error:
        raise InvalidInput(("state", f"{path} is damaged ({error}); remove it to start anew")) from None
    path.unlink()
    return begun


def forget(state: Path) -> None:
    """Begin anew: a machine that is brought up is the one of its file."""
    (state / FILE).unlink(missing_ok=True)


def _written(state: Path, resolved_yaml: str) -> Path:
    """A file that may take the place of the one that says which machine this is."""
    fresh = state / f"{FILE}.new"
    fresh.write_text(json.dumps({"host": socket.gethostname(), "machine": resolved_yaml}), encoding="utf-8")
    return fresh


def _parsed(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise InvalidInput(("machine", f"is no YAML: {' '.join(str(error).split())}")) from None

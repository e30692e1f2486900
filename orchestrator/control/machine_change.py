"""Another machine in the place of the present one, between two jobs: what a swap of devices comes down to.

    request ── no job? ── who is at its addresses? ── every slot filled? ── Hello to all ── no job? ── change

Nothing changes before all of it holds, so a machine that was refused leaves the old one as it was.

The API has no password: whoever reaches it may send a machine, but has no file run for a kind. Files are run
that this process's own machine file names, or that the owner of its state folder has written down there.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Collection, Sequence
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
#: Beside it: the files of kinds that the owner of the folder has named, a JSON list.
DEVICE_FILES = "device-files.json"


class MachineChange:
    """Changes the machine that discovery fills and jobs are resolved against.

    Args:
        source: connects to the devices.
        jobs: ids of the jobs that run or wait.
        state: folder in which a change outlives this process.
        files: those that this process's own machine file names for kinds.
    """

    def __init__(
        self,
        discovery: Discovery,
        source: DeviceSource,
        jobs: Callable[[], Sequence[str]],
        state: Path,
        files: Collection[str] = (),
    ) -> None:
        self._discovery = discovery
        self._source = source
        self._jobs = jobs
        self._state = state
        self._files = files

    async def change(self, resolved_yaml: str) -> Machine:
        """Put a machine in the place of the present one.

        Raises:
            NotReady: a job runs or waits, or a role has too few devices or too many.
            InvalidInput: the machine is refused, by us or by a device at Hello; or it names a file that the
                owner of this process has not named.
            L3Error: whatever else a device answered.
        """
        refuse_busy(self._jobs())
        machine = await asyncio.to_thread(self._machine, resolved_yaml)
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

    def _machine(self, resolved_yaml: str) -> Machine:
        """In a thread: it may import the class of a kind."""
        allowed = {*self._files, *named_files(self._state)}
        return machine_from(_parsed(resolved_yaml), "the new machine", allowed)

    async def _greet(self, machine: Machine) -> None:
        """Say Hello to all devices as a small job would, so that none refuses the first real one."""
        spec = JobSpec(WorkloadSpec("fixed:1:1", count=1))
        job = await asyncio.to_thread(resolve, spec, machine)
        sessions = await Sessions.open(job, self._source)
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
            allowed = {*begun.files.values(), *named_files(state)}
            return machine_from(_parsed(left["machine"]), str(path), allowed)
    except FileNotFoundError:
        return begun
    except (ValueError, KeyError, TypeError, L3Error) as error:
        raise InvalidInput(("state", f"{path} is damaged ({error}); remove it to start anew")) from None
    path.unlink()
    return begun


def forget(state: Path) -> None:
    """Begin anew: a machine that is brought up is the one of its file."""
    (state / FILE).unlink(missing_ok=True)
    (state / DEVICE_FILES).unlink(missing_ok=True)


def name_files(state: Path, files: Collection[str]) -> None:
    """Write down, for its user only, files of kinds that machines may name to this folder's orchestrator."""
    path = state / DEVICE_FILES
    fresh = path.with_suffix(".new")
    fresh.touch(0o600)
    fresh.chmod(0o600)
    fresh.write_text(json.dumps(sorted({*files, *named_files(state)}), indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


def named_files(state: Path) -> frozenset[str]:
    """What `name_files` wrote down in a folder.

    Raises:
        InvalidInput: it cannot be read.
    """
    path = state / DEVICE_FILES
    try:
        return frozenset(map(str, json.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInput(("state", f"{path} is damaged ({error}); remove it, and name them anew")) from None


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

"""Swaps on a machine of `./l3 up`: its supervisor starts and stops the processes."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from l3sim.errors import InvalidInput
from l3sim.launch.control import ask_files, ask_start, ask_stop
from l3sim.launch.plan import processes_of
from l3sim.launch.swap.provisioner import NewDevices, Provisioner
from l3sim.launch.swap.request import kinds_of
from l3sim.orchestrator.control.machine_change import named_files
from l3sim.work import Role


class LocalProvisioner(Provisioner):
    """The supervisor's.

    Args:
        control: its socket.
        state: what `status` says of its machine.
        folder: that of its orchestrator's journal.
        size: modules of one process; None: as many as those had that go.
    """

    def __init__(self, control: Path, state: Mapping[str, Any], folder: Path, size: int | None) -> None:
        self._size = size
        self.address = state["address"]
        self._control = control
        self._folder = folder
        self._parts: Sequence[Mapping[str, Any]] = state["parts"]
        self._started: list[str] = []

    def files(self) -> Collection[str]:
        """See Provisioner.files."""
        return named_files(self._folder)

    async def name(self, files: Sequence[str]) -> None:
        """See Provisioner.name."""
        await ask_files(self._control, files)

    async def start(self, new_devices: Sequence[NewDevices]) -> None:
        """See Provisioner.start."""
        processes = []
        for new in new_devices:
            if new.image:
                text = (
                    f"{new.image!r} is no kind of role {new.role} ({', '.join(kinds_of(new.role))}) and no "
                    "HOST:PORT; images are for machines under Docker"
                )
                raise InvalidInput(("--with", text))
            size = self._size or max((part["devices"] for part in self._of(new.role)), default=1)
            # In a thread: it reads which kinds there are.
            processes += await asyncio.to_thread(processes_of, new.machine, new.role, size, new.tag)
        self._started = [process.name for process in processes]
        await ask_start(self._control, processes)

    async def check(self) -> None:
        """See Provisioner.check. The supervisor returned when all were ready."""

    async def undo(self) -> None:
        """See Provisioner.undo."""
        await ask_stop(self._control, self._started)

    async def retire(self, role: Role) -> None:
        """See Provisioner.retire."""
        await ask_stop(self._control, [part["name"] for part in self._of(role)])

    def _of(self, role: Role) -> list[Mapping[str, Any]]:
        return [part for part in self._parts if part.get("role") == role]

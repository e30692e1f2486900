"""A machine of local processes: broker, devices, orchestrator; started together, watched, always stopped.

Device processes may join and leave while it runs (`launch/swap`).

launcher ─┬─ broker            restarted at its port when it dies; no job stops for it
          ├─ gpu, link, dimm-* not restarted: the orchestrator fails the running job by slot
          └─ orchestrator      restarted at its port and on its journal; its jobs go on or start again
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from l3sim.errors import Interrupted, InvalidInput, L3Error, NotReady
from l3sim.launch.plan import DeviceProcess
from l3sim.launch.processes import Part, stop
from l3sim.orchestrator.control.machine_change import forget, name_files
from l3sim.specs.catalog import is_path
from l3sim.specs.machine import Machine
from l3sim.transport.channels import open_channel
from l3sim.v1 import machine_pb2, machine_pb2_grpc

#: Restarts of one part before the machine counts as broken.
RESTARTS = 3
#: From the last process's ready line to a machine that takes jobs: retained presences have to come in.
READY_DEADLINE_S = 60.0


class LocalMachine:
    """Use as `async with`: on entry it is ready for jobs, on exit every process has left.

    Args:
        machine: as loaded from `source`, the name or file that the orchestrator loads again.
        gpu: name or file of the GPU that replaces the machine's; "": none does.
        state: where the orchestrator keeps its journal.
        logs: where each part's stderr goes.
        listen: where the orchestrator serves; port 0: any free one.
        say: told in one line when a part dies and what comes of it.
        changed: called when a part has started, ended or started again.
    """

    def __init__(
        self,
        machine: Machine,
        source: str,
        gpu: str,
        devices: Sequence[DeviceProcess],
        state: Path,
        logs: Path,
        listen: str,
        say: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.machine = machine
        self._source, self._gpu = _anywhere(source), _anywhere(gpu)
        self._devices = devices
        self._state = state
        self._logs = logs
        self._listen = listen
        self._say = say
        self._changed = changed
        self._broker = Part("broker", _broker_command("127.0.0.1:0"), logs / "broker.log")
        self._orchestrator = Part("orchestrator", [], logs / "orchestrator.log")
        self._parts: list[Part] = [self._broker]
        self._hosted: dict[Part, DeviceProcess] = {}
        self._watchers: dict[Part, asyncio.Task[None]] = {}
        #: Takes jobs: between entry and exit.
        self.ready = False
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def address(self) -> str:
        """Where jobs are submitted."""
        return self._orchestrator.address

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Name, pid, address and state of every process; of those with devices their role and how many."""
        return [
            {
                "name": part.name,
                "pid": part.pid,
                "address": part.address,
                "state": "running" if part.running else "ended",
                **(
                    {"role": host.role, "devices": len(host.slots)}
                    if (host := self._hosted.get(part))
                    else {}
                ),
            }
            for part in self._parts
        ]

    async def __aenter__(self) -> "LocalMachine":
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def broken(self) -> None:
        """Wait until the machine is beyond help.

        Raises:
            Interrupted: a part that it cannot do without died too often.
        """
        await asyncio.shield(self._broken)

    async def stop(self) -> None:
        """Stop everything in order: who uses others goes first."""
        self.ready = False
        watched = [part for part, watcher in self._watchers.items() if not watcher.done()]
        for watcher in self._watchers.values():
            watcher.cancel()
        try:
            await stop([self._orchestrator])
            await stop([part for part in self._parts if part not in (self._orchestrator, self._broker)])
            await stop([self._broker])
        finally:
            for part in self._parts:
                part.kill()
            if not self._broken.done():
                self._broken.cancel()
        # Who had fallen, and failed a job by it, before its watcher heard of it.
        for part in watched:
            if how := part.fault():
                self._say(f"{part.name} {how}")

    async def add(self, processes: Sequence[DeviceProcess]) -> None:
        """Start more processes of devices, all or none.

        Raises:
            InvalidInput: a name that is taken.
            NotReady: one could not start.
        """
        taken = {part.name for part in self._parts}
        for process in processes:
            if process.name in taken:
                raise InvalidInput(("start", f"a part is called {process.name!r} already"))
        added = [self._host(process) for process in processes]
        try:
            await _start_all(added)
        except BaseException:
            await self.remove([part.name for part in added])
            raise
        for part in added:
            self._watchers[part] = asyncio.create_task(self._watch(part))
        self._changed()

    async def remove(self, names: Sequence[str]) -> None:
        """Stop processes of devices; names of others, and unknown ones, are passed."""
        gone = [part for part in self._hosted if part.name in names]
        for part in gone:
            if part in self._watchers:
                self._watchers.pop(part).cancel()
        await stop(gone)
        for part in gone:
            self._parts.remove(part)
            del self._hosted[part]
        self._changed()

    async def name(self, files: Sequence[str]) -> None:
        """Take files of kinds as the user's own, which the orchestrator may run.

        Raises:
            NotReady: they cannot be written down.
        """
        try:
            await asyncio.to_thread(name_files, self._state, files)
        except OSError as error:
            raise NotReady(f"cannot write in {self._state}: {error.strerror}") from None

    def _host(self, process: DeviceProcess) -> Part:
        command = process.command(self.machine.name, self._broker.address)
        part = Part(process.name, command, self._logs / f"{process.name}.log")
        self._parts.append(part)
        self._hosted[part] = process
        return part

    async def _start(self) -> None:
        forget(self._state)
        await self.name(list(self.machine.files.values()))
        await self._broker.start()
        self._broker.command = _broker_command(self._broker.address)
        for process in self._devices:
            self._host(process)
        self._orchestrator.command = self._orchestrator_command(self._listen)
        self._parts.append(self._orchestrator)
        await _start_all(self._parts[1:])
        self._orchestrator.command = self._orchestrator_command(self.address)
        self._watchers = {part: asyncio.create_task(self._watch(part)) for part in self._parts}
        await self._wait_ready()
        self.ready = True
        self._changed()

    def _orchestrator_command(self, listen: str) -> list[str]:
        command = ["-m", "l3sim.orchestrator", "--machine", self._source, "--bus", self._broker.address]
        if self._gpu:
            command += ["--gpu", self._gpu]
        return [*command, "--listen", listen, "--state", str(self._state), "--lifeline"]

    async def _wait_ready(self) -> None:
        """Wait until a job could start, but for devices that are a stranger's to start."""
        answer = machine_pb2.GetMachineResponse()
        try:
            async with asyncio.timeout(READY_DEADLINE_S), open_channel(self.address) as channel:
                stub = machine_pb2_grpc.MachineServiceStub(channel)
                while not answer.ready and (not answer.roles or any(map(self._lacks_ours, answer.roles))):
                    await self._check_all_run()
                    answer = await stub.GetMachine(
                        machine_pb2.GetMachineRequest(), timeout=READY_DEADLINE_S, wait_for_ready=True
                    )
                    await asyncio.sleep(0.02)
        except (TimeoutError, grpc.aio.AioRpcError) as error:
            lacking = [f"{role.role} {role.present} of {role.needed}" for role in answer.roles]
            why = ", ".join(lacking) or str(error) or "the orchestrator does not answer"
            raise NotReady(
                f"machine {self.machine.name} was not ready within {READY_DEADLINE_S:.0f} s: {why} "
                f"(logs: {self._logs})"
            ) from None

        for role in answer.roles:
            if role.present < role.needed:
                self._say(
                    f"role {role.role} waits for a device of kind {role.kind}, which no package here offers; "
                    "start it with the broker at "
                    f"{self._broker.address}, or at the address that the file names"
                )

    def _lacks_ours(self, role: machine_pb2.RoleState) -> bool:
        """Whether devices are missing that we have started."""
        return role.role in {process.role for process in self._devices} and role.present < role.needed

    async def _check_all_run(self) -> None:
        for part in self._parts:
            if not part.running and part not in (self._broker, self._orchestrator):
                words = await asyncio.to_thread(part.last_words)
                raise NotReady(f"{part.name} ended before the machine was ready: {words}")
        if self._broken.done():
            self._broken.result()

    async def _watch(self, part: Part) -> None:
        essential = part in (self._broker, self._orchestrator)
        for restart in range(RESTARTS + 1):
            how = f"{part.name} {await part.ended()}"
            self._changed()
            if not essential:
                self._say(f"{how}; its slots stay empty until the machine is started again")
                return
            if restart == RESTARTS:
                break
            self._say(f"{how}; starting it again at {part.address} ({restart + 1} of {RESTARTS} times)")
            try:
                await part.start()
            except L3Error as error:
                self._say(str(error))
            self._changed()
        words = await asyncio.to_thread(part.last_words)
        text = f"{part.name} died {RESTARTS + 1} times: {words}; start the machine again"
        self._broken.set_exception(Interrupted(text))


async def _start_all(parts: Sequence[Part]) -> None:
    starts = [asyncio.create_task(part.start()) for part in parts]
    try:
        await asyncio.gather(*starts)
    except BaseException:
        # Nothing may be started while they are stopped.
        for start in starts:
            start.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
        raise


def _anywhere(name_or_path: str) -> str:
    """The processes run in the repository's folder, wherever we were called."""
    return str(Path(name_or_path).absolute()) if is_path(name_or_path) else name_or_path


def _broker_command(listen: str) -> list[str]:
    return ["-m", "l3sim.launch.broker", "--listen", listen, "--lifeline"]

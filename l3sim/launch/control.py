"""How another command asks the supervisor of `up` to start and stop device processes.

A Unix socket in the home's folder that only its user can open: one JSON object a line, one answer a line.
The supervisor owns all processes; unasked, it does nothing.

    {"start": [{"role": "attention", "target": "l3sim.services.hbm_pim.device:HbmPimDevice",
                "slots": ["dimm-00", ...], "tag": "hbm-pim-1"}, ...]}
    {"stop": ["dimm-00", ...]}
    {"files": ["/where/it/is/cxl_pim.py"]}  each answered {} or {"error": "one line"}

`files` are those of kinds that the machine may name from now on. That they come from its user is what lets
the orchestrator run them; its own API, which anybody may reach, does not.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from l3sim.errors import L3Error, NotReady
from l3sim.launch.plan import DeviceProcess
from l3sim.work import Role

#: A machine has at most some thousand slots, each named in a request.
_MAX_LINE = 1 << 20


class Supervisor(Protocol):
    """What starts and stops processes; `l3sim.launch.local.LocalMachine` does."""

    async def add(self, processes: Sequence[DeviceProcess]) -> None:
        """Start processes, all or none."""

    async def remove(self, names: Sequence[str]) -> None:
        """Stop processes by name."""

    async def name(self, files: Sequence[str]) -> None:
        """Take files of kinds as the user's own."""


class Control:
    """Serves the socket for as long as the context lasts.

    Raises:
        OSError: on entry, when there can be no socket at the path, which may be too long for one.
    """

    def __init__(self, path: Path, supervisor: Supervisor) -> None:
        self._path = path
        self._supervisor = supervisor
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> "Control":
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_MAX_LINE)
        self._path.chmod(0o600)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who asked may go away meanwhile: what was begun is done to its end all the same.
        with contextlib.suppress(OSError):
            answer = await self._answer(await reader.readline())
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
            writer.close()

    async def _answer(self, line: bytes) -> Mapping[str, str]:
        try:
            async with self._turn:
                request = json.loads(line)
                if "start" in request:
                    await self._supervisor.add([_process(one) for one in request["start"]])
                elif "files" in request:
                    await self._supervisor.name([str(file) for file in request["files"]])
                else:
                    await self._supervisor.remove(request["stop"])
        except L3Error as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"the supervisor was asked for what it does not know: {error}"}
        return {}


async def ask_start(path: Path, processes: Sequence[DeviceProcess]) -> None:
    """Have a supervisor start processes; returns when all have said that they are ready.

    Raises:
        NotReady: one could not start, and none was left running; or no supervisor listens.
    """
    fields = [
        {"role": one.role.value, "target": one.target, "slots": one.slots, "tag": one.tag}
        for one in processes
    ]
    await _ask(path, {"start": fields})


async def ask_stop(path: Path, names: Sequence[str]) -> None:
    """Have a supervisor stop processes; returns when they have left. Names that it does not know are passed.

    Raises:
        NotReady: no supervisor listens.
    """
    await _ask(path, {"stop": list(names)})


async def ask_files(path: Path, files: Sequence[str]) -> None:
    """Tell a supervisor which files of kinds the machine may name, absolute.

    Raises:
        NotReady: no supervisor listens, or it cannot write them down.
    """
    await _ask(path, {"files": list(files)})


async def _ask(path: Path, request: Mapping[str, Any]) -> None:
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_MAX_LINE)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
    except OSError as error:
        raise NotReady(
            f"the supervisor of this machine does not listen at {path} ({error.strerror}); start it again: "
            "./l3 down, ./l3 up"
        ) from None
    if not line:
        raise NotReady("the supervisor of this machine ended meanwhile; start it again: ./l3 up --detach")
    if error_line := json.loads(line).get("error"):
        raise NotReady(error_line)


def _process(fields: Mapping[str, Any]) -> DeviceProcess:
    slots = tuple(str(slot) for slot in fields["slots"])
    return DeviceProcess(Role(fields["role"]), str(fields["target"]), slots, tag=str(fields["tag"]))

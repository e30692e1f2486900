"""One part of a local machine: a child process with a ready line, a log file and a lifeline.

A child reads its stdin; when we die, even by SIGKILL, the kernel closes the other end and the child leaves.
Children have a session of their own, so that Ctrl-C in a terminal reaches only us, who stop them in order.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from l3sim.errors import NotReady
from l3sim.places import child_path, tables_folder

#: A loaded computer that starts 130 interpreters needs its time.
START_DEADLINE_S = 120.0
#: From SIGTERM to SIGKILL.
GRACE_S = 5.0


class Part:
    """A child process.

    Args:
        name: what people call it ("dimm-07", "orchestrator").
        command: what follows the interpreter ("-m", module, options).
        log: where its stderr goes, appended.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.address = ""
        self._process: asyncio.subprocess.Process | None = None
        self._sent: set[signal.Signals] = set()

    @property
    def pid(self) -> int:
        """Of the running or last process; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process lives, as far as we have heard."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process, and return when it has said that it is ready.

        Raises:
            NotReady: it ended or stayed silent; the message has the last line of its log.
        """
        with await asyncio.to_thread(self.log.open, "ab") as log:
            begin = log.tell()
            self._sent.clear()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                *self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.log.parent,
                env=_environment(),
                start_new_session=True,
            )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            self.kill()
            raise NotReady(
                f"{self.name} was not ready within {START_DEADLINE_S:.0f} s; see {self.log}"
            ) from None
        try:
            self.address = str(json.loads(line)["address"])
        except (ValueError, TypeError, KeyError):
            self.kill()
            how = await self.ended()
            words = await asyncio.to_thread(self.last_words, begin)
            raise NotReady(f"{self.name} {how} before it was ready: {words}") from None

    async def ended(self) -> str:
        """Wait for the end of the process and say how it ended, in words."""
        assert self._process is not None
        return _in_words(await self._process.wait())

    def fault(self) -> str:
        """How the process ended, where neither we nor it wanted that; else ""."""
        code = self._process.returncode if self._process else 0
        return "" if not code or -code in self._sent else _in_words(code)

    def last_words(self, begin: int = 0) -> str:
        """Why the process left: its last complaint in the log from byte `begin` on, else the last line.

        Libraries may log on after the complaint, while the process goes down.
        """
        with contextlib.suppress(OSError):
            lines = self.log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
            complaints = [line for line in lines if line.startswith("l3: error: ")]
            if lines:
                return f"{(complaints or lines)[-1].strip()} (log: {self.log})"
        return f"it said nothing (log: {self.log})"

    def terminate(self) -> None:
        """Ask the process to leave."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End the process now."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        # Not by Popen, which would look for the exit code first, and take it from under asyncio's nose.
        if self.running and self._process is not None:
            self._sent.add(number)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


def _in_words(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _environment() -> dict[str, str]:
    """Ours, without what people set for compose (L3_MODULES, ...): the command line says it all here.

    But the folder of tables: a device that builds one keeps it there.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("L3_")}
    tables = str(tables_folder(os.environ).absolute())  # they run in another folder
    return {**ours, "PYTHONPATH": child_path(os.environ), "L3_TABLES": tables}


async def stop(parts: Sequence[Part], grace_s: float = GRACE_S) -> None:
    """Stop parts at once: SIGTERM, and SIGKILL after the grace period. Never raises, never leaves one behind.

    A second Ctrl-C while waiting cuts the grace period short.
    """
    parts = [part for part in parts if part.pid]
    for part in parts:
        part.terminate()
    try:
        async with asyncio.timeout(grace_s):
            await asyncio.gather(*(part.ended() for part in parts))
    except TimeoutError:
        pass
    finally:
        for part in parts:
            part.kill()
    await asyncio.gather(*(part.ended() for part in parts))

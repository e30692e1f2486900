"""What `up` leaves on disk, so that `down`, `status` and the clients find its machine.

$L3_HOME (.l3)/  up.lock   its pid; locked by the supervisor as long as it lives, then free
                 up.json   pid, address, machine, processes; written when the machine is ready
                 control.sock; where the supervisor is asked to start and stop devices
                 supervisor.log, logs/, machines/NAME/ (the journal of each machine)
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from l3sim.errors import Conflict, L3Error
from l3sim.places import state_folder

_POLL_S = 0.02
#: A process that asks whether a lock is taken holds it for a moment; one that wants it asks again.
_TRIES = 10


class Home:
    """The folder of the machine on this computer."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self.path = state_folder(environment).absolute()
        self._lock = self.path / "up.lock"
        self._state = self.path / "up.json"

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Be the one machine of this folder, from here to the end of the process.

        On exit up.json goes; the lock stays until the kernel takes it, so that a waiting process knows
        that the process has left as well.

        Raises:
            Conflict: another machine is up.
        """
        self._make(self.path)
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not any(_try(lock, wait) for wait in range(_TRIES)):
            os.close(lock)
            raise Conflict(f"{self._who()}; stop it first: ./l3 down")
        self._state.unlink(missing_ok=True)
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        try:
            yield
        finally:
            self._state.unlink(missing_ok=True)

    @property
    def taken(self) -> bool:
        """Whether a supervisor lives."""
        if not self._lock.exists():
            return False
        with self._lock.open() as lock:
            return not _try(lock.fileno())

    @property
    def holder(self) -> int:
        """Process id of the supervisor that lives; 0 when none does, or it has hardly begun."""
        text = self._lock.read_text() if self.taken else ""
        return int(text) if text.isdecimal() else 0

    def wait_free(self, deadline_s: float) -> bool:
        """Wait until no supervisor lives; False when one still does at the deadline."""
        end = time.monotonic() + deadline_s
        while self.taken:
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_S)
        return True

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace up.json; a reader sees the old or the new one, never a half."""
        fresh = self._state.with_suffix(".new")
        fresh.write_text(json.dumps(state, indent=1) + "\n")
        fresh.replace(self._state)

    def read(self) -> dict[str, Any] | None:
        """What up.json says, whether or not its supervisor lives; None when there is none."""
        try:
            state = json.loads(self._state.read_text())
        except (OSError, ValueError):
            return None
        known = isinstance(state, dict) and {"pid", "address", "machine"} <= state.keys()
        return state if known else None

    def supervisor_log(self) -> Path:
        """Where stderr of a supervisor goes that runs detached."""
        return self._make(self.path) / "supervisor.log"

    @property
    def control(self) -> Path:
        """Where the supervisor takes requests (`l3sim/launch/control.py`)."""
        return self.path / "control.sock"

    def logs(self) -> Path:
        """An empty folder for the logs of a machine that starts."""
        folder = self._make(self.path / "logs")
        for old in folder.glob("*.log"):
            old.unlink()
        return folder

    def journal(self, machine: str) -> Path:
        """Where a machine's orchestrator keeps its journal."""
        return self._make(self.path / "machines" / machine)

    def _who(self) -> str:
        state = self.read()
        if state is None:
            return "another machine is starting or stopping"
        return f"machine {state['machine']} is already up at {state['address']} (pid {state['pid']})"

    def _make(self, folder: Path) -> Path:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise L3Error(
                f"cannot make {folder}: {error.strerror}; set L3_HOME to a folder of yours"
            ) from None
        return folder


def _try(descriptor: int, attempt: int = 0) -> bool:
    try:
        time.sleep(_POLL_S if attempt else 0)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

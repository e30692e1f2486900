"""`up`, `down` and `status`: a machine that stays."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from l3sim.errors import NotReady
from l3sim.launch import signals
from l3sim.launch.control import Control, Supervisor
from l3sim.launch.home import Home
from l3sim.launch.local import LocalMachine
from l3sim.launch.options import MachineOptions
from l3sim.launch.processes import GRACE_S

#: `down` waits so long for a supervisor, which has three groups of parts to stop, before it kills it.
DOWN_DEADLINE_S = 4 * GRACE_S


def up(options: MachineOptions, listen: str, as_json: bool) -> None:
    """Start a machine, print its address, and keep it until a signal comes.

    Raises:
        signals.Ended: Ctrl-C, or the terminal was closed; everything is stopped.
        L3Error: it could not start, or a part that it needs died too often.
    """
    machine, devices = options.plan()
    home = Home()
    with home.claim():
        journal, logs = home.journal(machine.name), home.logs()

        async def serve() -> None:
            def write() -> None:
                if local.ready:
                    home.write(_state(local))

            local = LocalMachine(
                machine, options.machine, options.gpu, devices, journal, logs, listen, say, write
            )
            async with local:
                ready = f"machine {machine.name} is ready at {local.address}"
                async with controlled(home.control, local):
                    print(json.dumps(_state(local)) if as_json else ready, flush=True)
                    await local.broken()

        try:
            signals.run(serve())
        except signals.Ended as ended:
            # SIGTERM is how `down` ends it: all is well.
            if ended.number is not signal.SIGTERM:
                raise


def up_detached(arguments: Sequence[str]) -> int:
    """Start `up` with these arguments in a session of its own, and return when its machine is ready.

    Returns: an exit code; when it is not 0, what the supervisor said is on stderr.
    """
    log_file = Home().supervisor_log()
    with log_file.open("ab") as log:
        begin = log.tell()
        supervisor = subprocess.Popen(
            [sys.executable, "-P", "-m", "l3sim", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            text=True,
        )
    assert supervisor.stdout is not None
    try:
        line = supervisor.stdout.readline()
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()
        raise
    if line:
        print(line, end="", flush=True)
        return 0
    code = supervisor.wait()
    sys.stderr.write(log_file.read_bytes()[begin:].decode(errors="replace"))
    return code or NotReady.exit_code


def down() -> None:
    """Stop the machine and return when all its processes have left.

    Raises:
        NotReady: there is none.
    """
    home = Home()
    state, pid = home.read(), home.holder
    if not pid:
        raise NotReady(f"no machine is up{_gone(state)}; start one: ./l3 up --detach")
    os.kill(pid, signal.SIGTERM)
    if not home.wait_free(DOWN_DEADLINE_S):
        say(f"the supervisor (pid {pid}) does not stop; killing it, its processes leave by themselves")
        os.kill(pid, signal.SIGKILL)
        home.wait_free(GRACE_S)
    print(f"machine {state['machine'] if state else 'that was starting'} is stopped")


def status() -> dict[str, Any]:
    """What is up on this computer, as up.json has it.

    Raises:
        NotReady: no machine is up, or it is not ready yet; says when its supervisor was killed.
    """
    home = Home()
    state, pid = home.read(), home.holder
    if not pid:
        raise NotReady(f"no machine is up{_gone(state)}; start one: ./l3 up --detach")
    if state is None:
        raise NotReady(f"a machine is starting or stopping (pid {pid}); ask again in a moment")
    return state


@asynccontextmanager
async def controlled(path: Path, supervisor: Supervisor) -> AsyncIterator[None]:
    """Take requests at a socket while the context lasts; where there can be none, say so and go without."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(Control(path, supervisor))
        except OSError as error:
            say(f"no device can be swapped: cannot listen at {path}: {error}; set L3_HOME to a shorter path")
        yield


def _gone(state: Mapping[str, Any] | None) -> str:
    """What became of a machine that was not taken down."""
    if state is None:
        return ""
    return f" any more: the supervisor of {state['machine']} (pid {state['pid']}) was killed"


def _state(local: LocalMachine) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "address": local.address,
        "machine": local.machine.name,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "parts": local.parts,
    }


def say(text: str) -> None:
    """Print one line for the user."""
    print(f"l3: {text}", file=sys.stderr, flush=True)

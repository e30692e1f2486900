"""How any process of the machine starts, says that it is ready, is healthy, and stops.

Shared by devices, orchestrator and broker: the ready line, JSON logs, SIGTERM and SIGINT, the lifeline to
a parent, gRPC health with its file, and the drain.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, Self

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from l3sim.errors import InvalidInput, L3Error
from l3sim.transport import channels

LOG_LEVELS = ("debug", "info", "warning", "error")

#: Calls under way when a server stops have so long to end.
DRAIN_S = 5.0

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
#: What a LogRecord has without any `extra`.
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and whatever `extra` says."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter.format."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _RECORD_FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_as_json(level: str) -> None:
    """Send all logs to stderr as JSON lines, from `level` on (one of LOG_LEVELS)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Reconnecting to the bus is our own affair, and said by us.
    logging.getLogger("mqtt").setLevel(logging.ERROR)


def announce_ready(address: str) -> None:
    """Print the ready line, the first on stdout: event, address, pid."""
    # A parent that has gone away does not read it.
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"event": "ready", "address": address, "pid": os.getpid()}), flush=True)


def complain(error: L3Error) -> None:
    """Say on stderr, in one line, why the process ends."""
    print(f"l3: error: {error}", file=sys.stderr, flush=True)


class OneLineParser(argparse.ArgumentParser):
    """Refuses in one line instead of a page of usage: the command line of a process that others start."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        raise InvalidInput(("", f"{message}; see --help"))


def host_and_port(text: str, field: str) -> tuple[str, int]:
    """Split HOST:PORT; an IPv6 host stands in brackets.

    Raises:
        InvalidInput: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise InvalidInput((field, f"must be HOST:PORT, got {text!r}"))
    return host, int(port)


def reachable_address(listen: str, port: int, advertise: str = "") -> str:
    """The address that peers should use of a server that listens at `listen` and got `port`."""
    host, _ = host_and_port(listen, "listen")
    if advertise:
        host = advertise
    elif host in {"0.0.0.0", "[::]"}:
        host = socket.gethostname()
    return f"{host}:{port}"


def bind(server: grpc.aio.Server, listen: str) -> int:
    """Bind a server to HOST:PORT (0: any free port) and return the port.

    Raises:
        InvalidInput: the address is taken or not of this computer.
    """
    host_and_port(listen, "listen")
    try:
        return server.add_insecure_port(listen)
    except RuntimeError:
        raise InvalidInput(
            ("listen", f"cannot bind {listen}; is it in use? port 0 takes any free one")
        ) from None


class StopSignal:
    """Set by SIGTERM, SIGINT, or the end of stdin: the parent died.

    Args:
        lifeline: whether the end of stdin stops the process.
    """

    def __init__(self, *, lifeline: bool) -> None:
        self._event = asyncio.Event()
        self._lifeline = lifeline

    async def __aenter__(self) -> "StopSignal":
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._event.set)
        if self._lifeline:
            # A thread, because the loop cannot wait for all that stdin may be; a daemon, because nothing
            # waits for it.
            threading.Thread(target=self._wait_for_end, args=(loop,), daemon=True, name="lifeline").start()
        return self

    async def __aexit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    async def wait(self) -> None:
        """Return once the process should stop."""
        await self._event.wait()

    def _wait_for_end(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        # The loop may have ended by itself.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._event.set)


class Health:
    """grpc.health.v1 of each service and overall, mirrored by a file that exists while SERVING.

    Args:
        services: full names ("l3sim.v1.DeviceService").
        file: for container health checks that cost no process; None: no file.
    """

    def __init__(self, server: grpc.aio.Server, services: Sequence[str], file: Path | None = None) -> None:
        self._names = ("", *services)
        self._servicer = HealthServicer()
        self._file = file
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        own = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection([*services, own, reflection.SERVICE_NAME], server)

    async def serving(self) -> None:
        """Everything works."""
        await self._set(_SERVING)
        if self._file is not None:
            await asyncio.to_thread(_touch, self._file)

    async def not_serving(self) -> None:
        """No new calls, please; watchers are told."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
        await self._set(_NOT_SERVING)

    async def _set(self, status: int) -> None:
        for name in self._names:
            await self._servicer.set(name, status)


class Served:
    """A gRPC server behind an address, for as long as the context lasts, with health and reflection.

    Args:
        services: full names; whoever builds on this adds their servicers to `server`.
        listen: HOST:PORT; port 0 takes any free one.
        health_file: exists while SERVING.

    Attributes:
        port: where it listens; 0 before it does.

    Raises:
        InvalidInput: on entry, when the address cannot be bound.
    """

    def __init__(self, services: Sequence[str], listen: str, health_file: Path | None) -> None:
        self.listen, self.port = listen, 0
        self.server = channels.new_server()
        self._health = Health(self.server, services, health_file)

    async def __aenter__(self) -> Self:
        self.port = bind(self.server, self.listen)
        await self.server.start()
        await self._health.serving()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.not_serving()
        await self.server.stop(DRAIN_S)

    async def not_serving(self) -> None:
        """Answer every health check that this server is about to go."""
        await self._health.not_serving()


def _touch(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()

"""A detector of blocking calls: what keeps an event loop from running while it waits for something else.

CPython audits calls that reach outside of it. One of `EVENTS`, made on behalf of a module of ours
while a loop runs in the same thread, is kept here, and `tests/conftest.py` fails the test that it
happened in. What asyncio, an import, a traceback or a library does on its own does not count.
"""

import asyncio
import inspect
import linecache
import sys
import sysconfig
import time
from pathlib import Path
from types import FrameType
from typing import Any, SupportsIndex

from tests.root import ROOT

EVENTS = frozenset(
    {
        "fcntl.flock",
        "open",
        "os.posix_spawn",
        "os.system",
        "shutil.rmtree",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "sqlite3.connect",
        "subprocess.Popen",
    }
)
OURS = tuple(f"{ROOT / folder}/" for folder in ("l3sim", "services", "orchestrator", "clients"))
_LIBRARY = f"{Path(sysconfig.get_paths()['stdlib'])}/"
_ASYNCIO = f"{Path(asyncio.__file__).parent}/"
_TESTS = f"{ROOT / 'tests'}/"
_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
#: No helpers of whoever calls them: asyncio, packages below the library, readers of source for tracebacks.
_APART = (
    _ASYNCIO,
    f"{Path(sysconfig.get_paths()['purelib'])}/",
    str(Path(linecache.__file__)),
)

#: What was caught since it was last emptied: event, arguments, and the line of ours.
caught: list[str] = []


def install() -> None:
    """Begin to look, to the end of the process: an audit hook cannot be removed."""
    sys.addaudithook(_seen)
    sleep = time.sleep

    def seen_sleep(seconds: float | SupportsIndex) -> None:  # not audited by every Python that we run on
        _keep("time.sleep", (seconds,), sys._getframe(1))
        sleep(seconds)

    time.sleep = seen_sleep


def _seen(event: str, arguments: tuple[Any, ...]) -> None:
    if event in EVENTS:
        _keep(event, arguments, sys._getframe(1))


def _keep(event: str, arguments: tuple[Any, ...], frame: FrameType) -> None:
    if _loop_runs() and (ours := caller(frame)) is not None:
        where = f"{Path(ours.f_code.co_filename).relative_to(ROOT)}:{ours.f_lineno}"
        caught.append(f"{where}: {event}{arguments!r:.80} in {ours.f_code.co_name}")


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def caller(frame: FrameType | None) -> FrameType | None:
    """The frame of ours that makes a call, by way of the standard library or not; None: not ours.

    What a test's own coroutine calls of us is the test's affair; a coroutine of ours, or a callback that
    the loop calls, is not.
    """
    ours = frame = _ours(frame)
    while frame is not None:
        name, coroutine = frame.f_code.co_filename, frame.f_code.co_flags & _COROUTINE
        if name.startswith(_ASYNCIO) or (coroutine and name.startswith(OURS)):
            return ours
        if name.startswith(_TESTS):
            return None
        frame = frame.f_back
    return None


def _ours(frame: FrameType | None) -> FrameType | None:
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(OURS):
            return frame
        helper = name.startswith(_LIBRARY) and not name.startswith(_APART)
        if not helper:  # asyncio, an import ("<frozen importlib..."), a library, or a test
            return None
        frame = frame.f_back
    return None

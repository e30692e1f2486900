"""One attempt at one job: run it to whatever end, and say which."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from l3sim.errors import Cancelled, DeviceLost, L3Error, ProtocolMismatch, Unreachable
from l3sim.orchestrator.control.ports import Result
from l3sim.orchestrator.control.record import State

REPORT = "report.json"
#: What makes it worth asking again who is there.
DEVICE_ERRORS = frozenset(kind.reason for kind in (DeviceLost, Unreachable, ProtocolMismatch))

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempted:
    """How an attempt ended.

    Attributes:
        reason, message: of the error, for a failed job.
        artifacts: everything that the job leaves, the report included.
    """

    state: State
    reason: str = ""
    message: str = ""
    artifacts: Mapping[str, bytes] = field(default_factory=dict)


async def attempt(run: Callable[[], Awaitable[Result]], cancel: asyncio.Event, grace_s: float) -> Attempted:
    """Run a job once. Raises nothing but CancelledError, when the orchestrator itself stops.

    Args:
        cancel: set when a client asks the job to stop; the job sees it too.
        grace_s: wall seconds that it may take to do so, before it is torn down.
    """
    task = asyncio.ensure_future(run())
    asked = asyncio.create_task(cancel.wait())
    try:
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=grace_s)
            task.cancel()
        await asyncio.wait({task})
    finally:
        asked.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    if task.cancelled():
        return Attempted(State.CANCELLED)
    return _outcome(task)


def _outcome(task: "asyncio.Future[Result]") -> Attempted:
    error = task.exception()
    try:
        if error is not None:
            raise error
        result = task.result()
        # NaN and infinity are no JSON: a report that has them is broken, and fails the job.
        report = json.dumps(result.report.to_dict(), indent=2, allow_nan=False).encode() + b"\n"
        return Attempted(State.SUCCEEDED, artifacts={**result.artifacts, REPORT: report})
    except Cancelled:
        return Attempted(State.CANCELLED)
    except L3Error as known:
        return Attempted(State.FAILED, known.reason, str(known))
    except Exception as bug:
        _log.exception("job failed for an unforeseen reason")
        return Attempted(State.FAILED, L3Error.reason, one_line(bug))


def one_line(error: BaseException) -> str:
    """Type and text of an error that has no reason of its own."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

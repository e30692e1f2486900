"""The error tree <-> gRPC statuses, by one table, keyed by reason and never by text.

An error of ours travels as google.rpc.Status with ErrorInfo (domain "l3sim", reason, metadata), and with
BadRequest for the violations of InvalidInput and RetryInfo for NotReady. Anything else that a call ends
with comes from gRPC itself and is told apart by its code.
"""

from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from l3sim.errors import (
    Cancelled,
    Conflict,
    DeviceLost,
    Interrupted,
    InvalidInput,
    InvariantBroken,
    L3Error,
    NotFound,
    NotReady,
    OutOfRoom,
    OutOfStep,
    ProtocolMismatch,
    Unreachable,
    Unsupported,
)

DOMAIN = "l3sim"

#: What each class of the tree is on the wire; proven total by a test.
CODES: dict[type[L3Error], grpc.StatusCode] = {
    L3Error: grpc.StatusCode.UNKNOWN,
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Conflict: grpc.StatusCode.ALREADY_EXISTS,
    NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    ProtocolMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    OutOfRoom: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    OutOfStep: grpc.StatusCode.FAILED_PRECONDITION,
    Unreachable: grpc.StatusCode.UNAVAILABLE,
    DeviceLost: grpc.StatusCode.ABORTED,
    InvariantBroken: grpc.StatusCode.INTERNAL,
    Cancelled: grpc.StatusCode.CANCELLED,
    Interrupted: grpc.StatusCode.ABORTED,
}
CLASSES: dict[str, type[L3Error]] = {known.reason: known for known in CODES}

#: A status travels in HTTP/2 headers, whose room is small (channels.MAX_METADATA_BYTES).
MAX_TEXT = 1000
MAX_VIOLATIONS = 20

_RETRY = Duration(seconds=1)
_DETAILS = "grpc-status-details-bin"


class FailedCall(Protocol):
    """What grpc.aio.AioRpcError and the error of a synchronous call have in common."""

    def code(self) -> grpc.StatusCode:
        """How the call ended."""

    def details(self) -> str | None:
        """In words."""

    def trailing_metadata(self) -> Any:
        """Pairs of key and value, or None."""


def status_of(error: L3Error) -> Status:
    """An error of ours as a rich status; overlong texts and lists are cut, and say so."""
    message = _cut(str(error))
    status = Status(code=CODES[type(error)].value[0], message=message)
    info = ErrorInfo(reason=error.reason, domain=DOMAIN)
    if isinstance(error, DeviceLost):
        info.metadata["slot"] = error.slot
        info.metadata["why"] = _cut(error.why)
    status.details.add().Pack(info)
    if isinstance(error, InvalidInput):
        status.details.add().Pack(_bad_request(error.violations))
    if isinstance(error, NotReady):
        status.details.add().Pack(RetryInfo(retry_delay=_RETRY))
    return status


async def abort(context: "grpc.aio.ServicerContext[Any, Any]", error: L3Error) -> NoReturn:
    """End a call with an error of ours."""
    status = status_of(error)
    trailing = ((_DETAILS, status.SerializeToString()),)
    await context.abort(CODES[type(error)], status.message, trailing)
    raise AssertionError("abort always raises")


def error_of(failed: FailedCall, where: str) -> L3Error:
    """The error of ours that a failed call stands for.

    Args:
        failed: an AioRpcError, or the error of a synchronous call.
        where: whom we called ("orchestrator at 127.0.0.1:7600"), for failures of the connection.
    """
    return error_of_ours(failed) or _foreign(failed, where)


def error_of_ours(failed: FailedCall) -> L3Error | None:
    """The error that the peer raised; None when the failure is gRPC's own."""
    status = _rich_status(failed)
    if status is None:
        return None
    info = ErrorInfo()
    bad_request = BadRequest()
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(bad_request)
    if info.domain == DOMAIN:
        return _ours(info, bad_request, status.message)
    # A device that knows nothing of ours says as much by the standard detail alone.
    violations = [(each.field, each.description) for each in bad_request.field_violations]
    refused = failed.code() is grpc.StatusCode.INVALID_ARGUMENT and violations
    return InvalidInput(*violations) if refused else None


def _ours(info: ErrorInfo, bad_request: BadRequest, text: str) -> L3Error:
    if info.reason == DeviceLost.reason:
        return DeviceLost(info.metadata["slot"], info.metadata["why"])
    if info.reason == InvalidInput.reason:
        violations = [(each.field, each.description) for each in bad_request.field_violations]
        return InvalidInput(*violations or [("", text)])
    # A reason that we do not know comes from a newer peer; its text still says what is wrong.
    return CLASSES.get(info.reason, L3Error)(text)


def _foreign(failed: FailedCall, where: str) -> L3Error:
    code, text = failed.code(), " ".join((failed.details() or "").split())
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unreachable(f"{where} does not answer: {text or code.name}")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return OutOfRoom(f"{where}: {text or code.name}")
    return L3Error(f"{where}: {code.name}: {text}")


def _rich_status(failed: FailedCall) -> Status | None:
    for key, value in failed.trailing_metadata() or ():
        if key == _DETAILS:
            try:
                return Status.FromString(value)
            except DecodeError:
                return None
    return None


def _bad_request(violations: Sequence[tuple[str, str]]) -> BadRequest:
    shown = violations[:MAX_VIOLATIONS]
    bad_request = BadRequest()
    room = MAX_TEXT // len(shown) if shown else MAX_TEXT
    for field, text in shown:
        bad_request.field_violations.add(field=_cut(field, 100), description=_cut(text, max(room, 200)))
    if len(violations) > len(shown):
        more = f"and {len(violations) - len(shown)} more"
        bad_request.field_violations.add(field="", description=more)
    return bad_request


def _cut(text: str, room: int = MAX_TEXT) -> str:
    return text if len(text) <= room else f"{text[: room - 4]} ..."

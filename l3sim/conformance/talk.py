"""One session with a device, spoken with the generated stubs so that nothing is hidden or repaired."""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status

from l3sim.conformance.verdicts import Failed
from l3sim.errors import InvalidInput
from l3sim.transport.convert.rounds import commits_to_proto, costs_from_proto, window_to_proto
from l3sim.transport.convert.session import hello_to_proto
from l3sim.v1 import device_pb2 as pb
from l3sim.work import Commit, Costs, Hello, Window

SESSION = "/l3sim.v1.DeviceService/Session"
#: A device may not notice that nothing follows; nothing obliges it.
FAREWELL_S = 1.0
_DETAILS = "grpc-status-details-bin"


class Refused(Exception):
    """The device ended the session with a status.

    Attributes:
        fields: what BadRequest names, when it does.
    """

    def __init__(self, code: grpc.StatusCode, text: str, fields: Sequence[str]) -> None:
        self.code, self.text, self.fields = code, text, fields
        super().__init__(f"{code.name}: {text}")


class Talk:
    """Use as `async with`; at the end it says that nothing follows, and cancels who goes on all the same.

    Every question raises Refused when the device ends the session by a status, and Failed when it is
    silent, answers something else or ends the stream without one.
    """

    def __init__(self, channel: grpc.aio.Channel, wait_s: float) -> None:
        method = channel.stream_stream(SESSION, bytes, pb.SessionResponse.FromString)
        self._call: Any = method(None)
        self._wait_s = wait_s

    async def __aenter__(self) -> "Talk":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._call.done():
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._call.done_writing()
                    while isinstance(await self._call.read(), pb.SessionResponse):
                        pass
        self.cancel()

    def cancel(self) -> None:
        """Break the stream."""
        self._call.cancel()

    async def hello(self, hello: Hello) -> pb.Ready:
        """Open the session."""
        return (await self.ask(pb.SessionRequest(hello=hello_to_proto(hello)), "ready")).ready

    async def costs(self, window: Window) -> pb.Costs:
        """What a window costs, as the wire has it."""
        answer = await self.ask(pb.SessionRequest(window=window_to_proto(window)), "costs")
        return answer.costs

    async def window(self, window: Window) -> Costs:
        """What a window costs, in arrays."""
        return read(await self.costs(window))

    async def estimate(self, windows: Sequence[Window]) -> list[Costs]:
        """What windows would cost that never happen."""
        request = pb.SessionRequest(estimate=pb.Estimate(windows=map(window_to_proto, windows)))
        answers = (await self.ask(request, "estimates")).estimates.costs
        if len(answers) != len(windows):
            raise Failed(f"it gave {len(answers)} estimates for {len(windows)} windows")
        return [read(answer) for answer in answers]

    async def audit(self) -> pb.Account:
        """The device's own books."""
        accounts = (await self.ask(pb.SessionRequest(audit=pb.Audit()), "accounts")).accounts.accounts
        return _only(accounts)

    async def close(self, commits: Sequence[Commit] = ()) -> pb.Account:
        """End the session well; the stream must end with it."""
        request = pb.SessionRequest(close=pb.Close(commits=commits_to_proto(commits)))
        account = _only((await self.ask(request, "closed")).closed.accounts)
        if await self._read() is not None:
            raise Failed("it went on after Closed")
        return account

    async def ask(self, request: pb.SessionRequest, expected: str) -> pb.SessionResponse:
        """Send a message and wait for its answer, which must be of the kind named."""
        await self.send(request.SerializeToString())
        answer = await self._read()
        if answer is None:
            raise Failed(f"it ended the stream where {expected} was due")
        got = answer.WhichOneof("message")
        if got != expected:
            raise Failed(f"it answered {got or 'an unknown message'} where {expected} was due")
        return answer

    async def send(self, data: bytes) -> None:
        """Send bytes, whatever they say."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._call.write(data)
        except TimeoutError:
            raise Failed(f"it took no message within {self._wait_s:g} s") from None
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # The call is over; reading says why.
            pass

    async def _read(self) -> pb.SessionResponse | None:
        """The next answer; None when the stream ended well."""
        try:
            async with asyncio.timeout(self._wait_s):
                answer = await self._call.read()
        except TimeoutError:
            raise Failed(f"no answer within {self._wait_s:g} s") from None
        except grpc.aio.AioRpcError as failed:
            text = " ".join((failed.details() or "").split())
            raise Refused(failed.code(), text, _bad_fields(failed)) from None
        return answer if isinstance(answer, pb.SessionResponse) else None


def read(message: pb.Costs) -> Costs:
    """Costs as arrays.

    Raises:
        Failed: a list or a byte string is not as long as the shape says.
    """
    try:
        return costs_from_proto(message)
    except InvalidInput as error:
        raise Failed(f"malformed answer: {error}") from None


def _only(accounts: Sequence[pb.Account]) -> pb.Account:
    if len(accounts) != 1:
        raise Failed(f"it gave {len(accounts)} accounts for one slot")
    return accounts[0]


def _bad_fields(failed: grpc.aio.AioRpcError) -> list[str]:
    metadata: Any = failed.trailing_metadata() or ()
    bad = BadRequest()
    for key, value in metadata:
        if key == _DETAILS:
            for detail in Status.FromString(value).details:
                detail.Unpack(bad)
    return [violation.field for violation in bad.field_violations]

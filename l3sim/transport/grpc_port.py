"""The orchestrator's end of a session over gRPC: one stream of raw bytes an address.

A window goes to many addresses at once, so it is encoded once and the same bytes are written to each.
Devices answer in order, so the answers of windows under way are matched by a queue, and their ids
compared.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from l3sim.errors import DeviceLost, InvalidInput, L3Error, OutOfRoom
from l3sim.functional import FunctionalAnswer, FunctionalRequest, answers
from l3sim.ports import DevicePort
from l3sim.transport import channels
from l3sim.transport.conversation import blamed, check_protocol, other_window
from l3sim.transport.convert.functional import answer_from_proto, functional_to_proto
from l3sim.transport.convert.rounds import (
    check_values,
    commits_to_proto,
    costs_from_proto,
    window_to_proto,
)
from l3sim.transport.convert.session import (
    accounts_from_proto,
    description_from_proto,
    hello_to_proto,
    ready_from_proto,
)
from l3sim.transport.status import error_of, error_of_ours
from l3sim.v1 import device_pb2 as pb
from l3sim.v1 import device_pb2_grpc
from l3sim.work import Account, Commit, Costs, DeviceDescription, DeviceReady, Hello, Window

_SESSION = "/l3sim.v1.DeviceService/Session"
#: Windows whose bytes are kept: one for each replica that may be under way, with room to spare.
_KEPT_WINDOWS = 32


class _WindowBytes:
    """Requests by window object, so that all ports write the same bytes.

    Keys are ids of objects that the table itself keeps alive, which makes them unique.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Window, bytes]] = OrderedDict()

    def of(self, window: Window) -> bytes:
        known = self._known.get(id(window))
        if known is not None:
            return known[1]
        data = pb.SessionRequest(window=window_to_proto(window)).SerializeToString()
        self._known[id(window)] = (window, data)
        if len(self._known) > _KEPT_WINDOWS:
            self._known.popitem(last=False)
        return data


_window_bytes = _WindowBytes()


async def describe(address: str, wait_s: float = channels.CALL_S) -> tuple[DeviceDescription, ...]:
    """Ask an address who lives there.

    Raises:
        Unreachable: no device answers within `wait_s`.
        ProtocolMismatch: it speaks another version.
    """
    async with channels.open_channel(address) as channel:
        stub = device_pb2_grpc.DeviceServiceStub(channel)
        try:
            response = await stub.Describe(pb.DescribeRequest(), timeout=wait_s)
        except grpc.aio.AioRpcError as failed:
            raise error_of(failed, f"device at {address}") from None
    check_protocol(response.protocol_version)
    return tuple(map(description_from_proto, response.devices))


class GrpcPort(DevicePort):
    """A session with the devices at one address.

    Args:
        address: HOST:PORT.
        exchange_s: wall-clock time that an answer may take.
    """

    def __init__(self, address: str, exchange_s: float = channels.EXCHANGE_S) -> None:
        self.address = address
        self.slots: tuple[str, ...] = ()
        self.messages = 0
        self._exchange_s = exchange_s
        self._channel = channels.open_channel(address)
        # bytes() of bytes is the same object: messages pass as they are.
        method = self._channel.stream_stream(_SESSION, bytes, bytes)
        self._call: grpc.aio.StreamStreamCall[bytes, bytes] = method(None)
        self._writing = asyncio.Lock()
        self._pending: deque[asyncio.Future[bytes]] = deque()
        self._failure: L3Error | None = None
        self._reader = asyncio.create_task(self._read(), name=f"session {address}")

    async def hello(self, hello: Hello) -> Sequence[DeviceReady]:
        """See DevicePort.hello."""
        self.slots = tuple(slot.slot for slot in hello.slots)
        response = await self._ask(pb.SessionRequest(hello=hello_to_proto(hello)), "ready")
        try:
            return ready_from_proto(response.ready)
        except InvalidInput as error:
            raise self._fail(self._lost(f"malformed answer: {error}")) from None

    async def window(self, window: Window) -> Costs:
        """See DevicePort.window."""
        response = self._parse(await self._exchange(_window_bytes.of(window)), "costs")
        return self._costs(response.costs, window)

    async def estimate(self, windows: Sequence[Window]) -> Sequence[Costs]:
        """See DevicePort.estimate."""
        request = pb.SessionRequest(estimate=pb.Estimate(windows=map(window_to_proto, windows)))
        answers = (await self._ask(request, "estimates")).estimates.costs
        if len(answers) != len(windows):
            raise self._fail(self._lost(f"{len(answers)} estimates for {len(windows)} questions"))
        return tuple(map(self._costs, answers, windows))

    async def audit(self) -> Sequence[Account]:
        """See DevicePort.audit."""
        response = await self._ask(pb.SessionRequest(audit=pb.Audit()), "accounts")
        return accounts_from_proto(response.accounts.accounts)

    async def functional(self, work: FunctionalRequest) -> FunctionalAnswer:
        """See DevicePort.functional."""
        response = await self._ask(pb.SessionRequest(functional=functional_to_proto(work)), "functional")
        try:
            answer = answer_from_proto(response.functional)
        except InvalidInput as error:
            raise self._fail(self._lost(f"malformed answer: {error}")) from None
        if not answers(answer, work):
            text = f"it answered {type(answer).__name__} to {type(work).__name__}"
            raise self._fail(self._lost(text))
        return answer

    async def close(self, commits: Sequence[Commit]) -> Sequence[Account]:
        """See DevicePort.close."""
        request = pb.SessionRequest(close=pb.Close(commits=commits_to_proto(commits)))
        response = await self._ask(request, "closed")
        await self.abort()
        return accounts_from_proto(response.closed.accounts)

    async def abort(self) -> None:
        """See DevicePort.abort."""
        self._fail(self._lost("the session was ended by this side"))
        self._call.cancel()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._channel.close(None)

    async def _ask(self, request: pb.SessionRequest, expected: str) -> pb.SessionResponse:
        return self._parse(await self._exchange(request.SerializeToString()), expected)

    async def _exchange(self, data: bytes) -> bytes:
        """Send a message and wait for the answer to it."""
        if len(data) > channels.MAX_MESSAGE_BYTES:
            text = f"a message of {len(data)} bytes; at most {channels.MAX_MESSAGE_BYTES} may be sent"
            raise blamed(OutOfRoom(text), self.slots)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._exchange_s):
                async with self._writing:
                    if self._failure is not None:
                        raise self._failure
                    self._pending.append(answer)
                    try:
                        await self._call.write(data)
                        self.messages += 1
                    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                        # The call is over; the reader knows why and fails the answer.
                        pass
                return await answer
        except TimeoutError:
            raise self._fail(self._lost(f"no answer within {self._exchange_s:g} s")) from None

    async def _read(self) -> None:
        """Hand each answer to the call it is for, until the stream ends; then fail all calls that wait."""
        try:
            while isinstance(data := await self._call.read(), bytes):
                self.messages += 1
                if not self._pending:
                    self._fail(self._lost("it sent an answer that was not asked for"))
                    return
                answer = self._pending.popleft()
                if not answer.done():
                    answer.set_result(data)
            self._fail(self._lost("it ended the session"))
        except grpc.aio.AioRpcError as failed:
            self._fail(self._failure_of(failed))

    def _fail(self, failure: L3Error) -> L3Error:
        """End the session for all calls that wait or will come; the first failure stays."""
        if self._failure is None:
            self._failure = failure
            self._call.cancel()
        while self._pending:
            answer = self._pending.popleft()
            if not answer.done():
                answer.set_exception(self._failure)
                # The caller may have gone away; then the failure is never retrieved.
                answer.exception()
        return self._failure

    def _failure_of(self, failed: grpc.aio.AioRpcError) -> L3Error:
        ours = error_of_ours(failed)
        if ours is not None:
            return blamed(ours, self.slots)
        text = " ".join((failed.details() or "").split())
        if failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return blamed(OutOfRoom(text), self.slots)
        return self._lost(f"{failed.code().name}: {text}")

    def _lost(self, why: str) -> DeviceLost:
        others = f"; +{len(self.slots) - 1} more there" if len(self.slots) > 1 else ""
        return DeviceLost(self.slots[0] if self.slots else "device", f"{why} ({self.address}{others})")

    def _parse(self, data: bytes, expected: str) -> pb.SessionResponse:
        try:
            response = pb.SessionResponse.FromString(data)
        except DecodeError:
            raise self._fail(self._lost("malformed answer: no SessionResponse")) from None
        if response.WhichOneof("message") != expected:
            got = response.WhichOneof("message") or "an unknown message"
            raise self._fail(self._lost(f"it answered {got} where {expected} was due"))
        return response

    def _costs(self, message: pb.Costs, window: Window) -> Costs:
        if text := other_window(message.window_id, message.valid_rounds, window):
            raise self._fail(self._lost(text))
        try:
            costs = costs_from_proto(message)
            for cost in costs.costs:
                check_values(cost)
            return costs
        except InvalidInput as error:
            raise self._fail(self._lost(f"malformed answer: {error}")) from None

"""What a session over gRPC does when the other side misbehaves or is gone."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest

from l3sim import PROTOCOL_VERSION
from l3sim.errors import DeviceLost, L3Error, OutOfRoom, ProtocolMismatch, Unreachable, Unsupported
from l3sim.testing import FakeDevice
from l3sim.testing.builders import small_hello, small_window
from l3sim.transport import channels, grpc_port
from l3sim.transport.convert.rounds import costs_to_proto, window_to_proto
from l3sim.transport.grpc_port import GrpcPort, describe
from l3sim.transport.server import SERVICE, DeviceServer
from l3sim.transport.status import error_of
from l3sim.v1 import device_pb2 as pb
from l3sim.work import Costs, OpCost, Window
from tests.l3sim.transport.processes import device_process

HELLO = small_hello()


async def sent(port: GrpcPort, messages: int) -> None:
    """Let the loop go round until the port has written so many."""
    while port.messages < messages:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0)


async def test_a_killed_process_is_lost_by_slot() -> None:
    async with device_process() as (process, address):
        port = GrpcPort(address)
        await port.hello(HELLO)
        process.kill()
        # gRPC's core says INTERNAL now and then when a process dies between two messages.
        said = rf"^lost dimm-00: (UNAVAILABLE|INTERNAL): .*\({address}\)$"
        with pytest.raises(DeviceLost, match=said) as caught:
            await port.audit()
        assert caught.value.slot == "dimm-00"
        with pytest.raises(DeviceLost):
            await port.window(small_window())
        await port.abort()


async def test_a_process_killed_while_it_owes_answers_loses_all_of_them() -> None:
    async with device_process() as (process, address):
        port = GrpcPort(address)
        await port.hello(HELLO)
        process.send_signal(signal.SIGSTOP)
        asked = [asyncio.create_task(port.audit()) for _ in range(3)]
        await sent(port, 4)
        process.kill()
        failures = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(failure) for failure in failures] == [DeviceLost] * 3
        await port.abort()


async def test_a_frozen_process_is_lost_by_keepalive() -> None:
    async with device_process() as (process, address):
        port = GrpcPort(address)
        await port.hello(HELLO)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(DeviceLost, match=r"lost dimm-00: UNAVAILABLE: .*ping timeout"):
            await port.audit()
        await port.abort()


async def test_a_device_that_thinks_too_long_is_lost() -> None:
    async with device_process() as (process, address):
        port = GrpcPort(address, exchange_s=0.05)
        process.send_signal(signal.SIGSTOP)
        port.slots = ("dimm-00",)
        with pytest.raises(DeviceLost, match=r"lost dimm-00: no answer within 0.05 s"):
            await port.audit()
        await port.abort()


async def test_nobody_at_an_address() -> None:
    port = GrpcPort("127.0.0.1:1")
    with pytest.raises(DeviceLost, match=r"lost dimm-00: UNAVAILABLE: .*\(127.0.0.1:1; \+1 more there\)"):
        await port.hello(small_hello(("a", "b"), ("dimm-00", "dimm-01")))
    await port.abort()
    with pytest.raises(Unreachable, match=r"device at 127.0.0.1:1 does not answer"):
        await describe("127.0.0.1:1")


async def test_a_message_above_the_limit_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with DeviceServer(FakeDevice()) as server:
        port = GrpcPort(server.address)
        await port.hello(HELLO)
        monkeypatch.setattr(channels, "MAX_MESSAGE_BYTES", 1000)
        with pytest.raises(OutOfRoom, match=r"^dimm-00: a message of \d+ bytes; at most 1000 may be sent$"):
            await port.window(small_window(releases=range(2000)))
        # Nothing was sent, so the session goes on.
        assert len(await port.audit()) == 1
        await port.abort()


async def test_an_answer_above_the_limit_is_out_of_room() -> None:
    async with DeviceServer(FakeDevice()) as server:
        port = GrpcPort(server.address)
        await port.hello(HELLO)
        # Two lanes of two classes: 32 bytes a round.
        with pytest.raises(OutOfRoom, match=r"^dimm-00: .*larger than max"):
            await port.window(small_window(rounds=channels.MAX_MESSAGE_BYTES // 32 + 1))
        await port.abort()


@asynccontextmanager
async def answering(*responses: pb.SessionResponse | bytes | None) -> AsyncIterator[GrpcPort]:
    """A port to a server that gives these answers, whatever it is asked; None ends the session."""

    async def session(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        left = iter(responses)
        async for _ in requests:
            response = next(left)
            if response is None:
                return
            yield response if isinstance(response, bytes) else response.SerializeToString()

    async def describing(_request: bytes, _context: object) -> bytes:
        return pb.DescribeResponse(protocol_version=99).SerializeToString()

    server = channels.new_server()
    methods: Any = {
        "Session": grpc.stream_stream_rpc_method_handler(session),
        "Describe": grpc.unary_unary_rpc_method_handler(describing),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    number = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    port = GrpcPort(f"127.0.0.1:{number}")
    port.slots = ("gpu",)
    try:
        yield port
    finally:
        await port.abort()
        await server.stop(None)


def costs(window_id: int = 1, rounds: int = 1) -> pb.SessionResponse:
    one = OpCost("head", 0, (0,), (0,), np.zeros((1, 1, 1), np.int64), np.zeros((1, 1), np.int64))
    return pb.SessionResponse(costs=costs_to_proto(Costs(window_id, rounds, (one,))))


SHORT = pb.SessionResponse(costs=pb.Costs(window_id=1, valid_rounds=1, costs=[pb.OpCost(layer_classes=1)]))
WINDOW = small_window()


@pytest.mark.parametrize(
    ("response", "ask", "text"),
    [
        (b"\xff\xff", lambda port: port.window(WINDOW), "malformed answer: no SessionResponse"),
        (
            pb.SessionResponse(),
            lambda port: port.window(WINDOW),
            "it answered an unknown message where costs was due",
        ),
        (
            pb.SessionResponse(closed=pb.Closed()),
            lambda port: port.window(WINDOW),
            "it answered closed where costs was due",
        ),
        (costs(7), lambda port: port.window(WINDOW), "it answered window 7 where 1 was due"),
        (costs(1, 5), lambda port: port.window(WINDOW), "it answered 5 rounds where 1 were asked"),
        (SHORT, lambda port: port.window(WINDOW), "malformed answer: costs.rounds: : must be 1 or 1, got 0"),
        (
            pb.SessionResponse(estimates=pb.Estimates()),
            lambda port: port.estimate([WINDOW]),
            "0 estimates for 1 questions",
        ),
        (
            pb.SessionResponse(ready=pb.Ready(devices=[pb.DeviceReady(config_json="?")])),
            lambda port: port.hello(HELLO),
            "malformed answer: devices[0].config_json: must be a JSON object, got '?'",
        ),
        (None, lambda port: port.audit(), "it ended the session"),
    ],
)
async def test_a_device_that_answers_nonsense_is_lost(
    response: Any, ask: Callable[[GrpcPort], Any], text: str
) -> None:
    async with answering(response) as port:
        with pytest.raises(DeviceLost) as caught:
            await ask(port)
        assert caught.value.why.startswith(f"{text} (127.0.0.1:")
        with pytest.raises(DeviceLost):
            await port.audit()


async def test_a_service_that_has_no_sessions_is_lost() -> None:
    server = channels.new_server()
    number = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    port = GrpcPort(f"127.0.0.1:{number}")
    with pytest.raises(DeviceLost, match="UNIMPLEMENTED"):
        await port.hello(HELLO)
    await port.abort()
    await server.stop(None)


async def test_another_version_fails_at_describe() -> None:
    async with answering() as port:
        with pytest.raises(
            ProtocolMismatch, match=f"the peer speaks protocol version 99, this side {PROTOCOL_VERSION}"
        ):
            await describe(port.address)


async def raw_session(address: str, *requests: pb.SessionRequest) -> L3Error:
    """Send messages as they are and return the error that the session ends with."""
    async with channels.open_channel(address) as channel:
        call: Any = channel.stream_stream(f"/{SERVICE}/Session", pb.SessionRequest.SerializeToString, bytes)
        session = call(iter(requests))
        try:
            while isinstance(await session.read(), bytes):
                pass
        except grpc.aio.AioRpcError as failed:
            return error_of(failed, "device")
        raise AssertionError("the session ended well")


async def test_a_message_that_the_device_does_not_know_is_unsupported() -> None:
    async with DeviceServer(FakeDevice()) as server:
        error = await raw_session(server.address, pb.SessionRequest())
        assert type(error) is Unsupported
        assert str(error).startswith("unknown message in a session")


async def test_another_versions_hello_need_not_be_readable() -> None:
    async with DeviceServer(FakeDevice()) as server:
        hello = pb.Hello(protocol_version=PROTOCOL_VERSION + 1, model=pb.ModelShape())
        error = await raw_session(server.address, pb.SessionRequest(hello=hello))
        assert type(error) is ProtocolMismatch


async def test_a_window_is_encoded_once_for_all_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []

    def counting(window: Window) -> pb.Window:
        encoded.append(window.window_id)
        return window_to_proto(window)

    monkeypatch.setattr(grpc_port, "window_to_proto", counting)
    async with DeviceServer(FakeDevice()) as server:
        ports = [GrpcPort(server.address) for _ in range(3)]
        for port in ports:
            await port.hello(HELLO)
        for window in (small_window(1), small_window(2)):
            await asyncio.gather(*(port.window(window) for port in ports))
        assert encoded == [1, 2]
        for port in ports:
            await port.abort()


async def test_an_abandoned_question_does_not_disturb_the_next() -> None:
    async with DeviceServer(FakeDevice()) as server:
        port = GrpcPort(server.address)
        await port.hello(HELLO)
        abandoned = asyncio.create_task(port.audit())
        await sent(port, 3)
        abandoned.cancel()
        assert (await port.window(small_window(5))).window_id == 5
        await port.abort()

"""One conversation over both transports: the same answers, the same errors."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from l3sim import PROTOCOL_VERSION
from l3sim.device import Identity
from l3sim.errors import (
    DeviceLost,
    InvalidInput,
    InvariantBroken,
    L3Error,
    NotFound,
    OutOfStep,
    ProtocolMismatch,
    Unreachable,
)
from l3sim.ports import DevicePort, DeviceSession
from l3sim.testing import FakeDevice
from l3sim.testing.builders import small_hello, small_layout, small_window
from l3sim.transport.grpc_port import GrpcPort, describe
from l3sim.transport.in_process import InProcessPort, InProcessSource
from l3sim.transport.server import DeviceServer
from l3sim.work import Chunk, Commit, Hello, KvPlacement, SubBatch, Window
from tests.l3sim.transport.equal import same

IDENTITIES = (Identity("a", "dimm-00"), Identity("b", "dimm-01", {"slowness": 2}))
HELLO = small_hello(("a", "b"), ("dimm-00", "dimm-01"))
PREFILL = small_window(1, chunks=[Chunk(0, 10, 0, True)], places=[KvPlacement(0, 1, 0)])
DECODE = small_window(2, decode=[0], context=[10], rounds=8, commits=[Commit(1, 1)])
LATER = small_window(3, releases=[0], commits=[Commit(2, 5)])


@pytest.fixture(params=["in-process", "grpc"])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[DevicePort]:
    device = FakeDevice(IDENTITIES)
    if request.param == "in-process":
        yield InProcessPort(device)
        return
    async with DeviceServer(device) as server:
        port = GrpcPort(server.address)
        yield port
        await port.abort()


async def test_a_whole_session(port: DevicePort) -> None:
    ready = await port.hello(HELLO)
    assert [device.slot for device in ready] == ["dimm-00", "dimm-01"]
    assert [device.config for device in ready] == [{"slowness": 1}, {"slowness": 2}]
    assert port.slots == ("dimm-00", "dimm-01")
    await port.window(PREFILL)
    costs = await port.window(DECODE)
    assert costs.window_id == 2
    assert costs.valid_rounds == 8
    # Round i attends 10 + i + 1 tokens; the second module is half as fast.
    assert costs.costs[0].duration_ps[:, 0, 0].tolist() == [11_000, 11_000, 22_000, 22_000]
    assert costs.costs[0].duration_ps[0, 1].tolist() == [1000 * (11 + i) for i in range(8)]
    before = await port.audit()
    assert [account.windows for account in before] == [1, 1]
    await port.window(LATER)
    after = await port.close([Commit(3, 1)])
    assert [(account.slot, account.windows, account.rounds, account.requests) for account in after] == [
        ("dimm-00", 3, 7, 0),
        ("dimm-01", 3, 7, 0),
    ]
    assert port.messages == 12


async def test_estimates_leave_no_trace(port: DevicePort) -> None:
    await port.hello(HELLO)
    question = small_window(0, decode=[5], context=[99], places=[KvPlacement(5, 0, 0)])
    answers = await port.estimate([question, question])
    assert len(answers) == 2
    assert answers[0].costs[0].duration_ps[0, 0, 0] == 100_000
    assert [account.requests for account in await port.audit()] == [0, 0]
    assert list(await port.estimate([])) == []


@pytest.mark.parametrize(
    ("hello", "error", "text"),
    [
        (
            small_hello(("a",), ("dimm-00",), protocol_version=99),
            ProtocolMismatch,
            f"dimm-00: the peer speaks protocol version 99, this side {PROTOCOL_VERSION}; "
            "start both from the same release",
        ),
        (small_hello(("z",)), NotFound, "dimm-00: unknown device 'z' (there are: a, b)"),
        (
            small_hello(("a",), config={"sloness": 2}),
            InvalidInput,
            "dimm-00.sloness: unknown key 'sloness'; did you mean 'slowness'? (there are: slowness)",
        ),
        (
            small_hello(("a",), config={"slowness": "very"}),
            InvariantBroken,
            "dimm-00: device model failed: ValueError: invalid literal for int() with base 10: 'very'",
        ),
    ],
)
async def test_a_hello_that_is_refused(
    port: DevicePort, hello: object, error: type[L3Error], text: str
) -> None:
    with pytest.raises(error) as caught:
        await port.hello(hello)  # type: ignore[arg-type]
    assert str(caught.value) == text
    assert type(caught.value) is error


async def test_a_window_that_contradicts_the_ledger(port: DevicePort) -> None:
    await port.hello(HELLO)
    with pytest.raises(OutOfStep, match=r"^dimm-00 \+1 more: request 4 has no KV here"):
        await port.window(small_window(1, decode=[4], context=[1]))
    # The books may be half written, so nothing goes on from here.
    with pytest.raises(OutOfStep):
        await port.audit()


async def test_a_window_of_no_replica(port: DevicePort) -> None:
    await port.hello(HELLO)
    with pytest.raises(InvalidInput, match=r"^window.replica: must be below dp \(1\), got 3$"):
        await port.window(small_window(1, replica=3))


def confused(device: FakeDevice, **changes: Any) -> FakeDevice:
    """The device, whose answers to windows differ in one thing."""
    open_session = device.open

    def open_confused(hello: Hello) -> DeviceSession:
        session = open_session(hello)
        window, estimate = session.window, session.estimate
        answers = {
            "window": lambda asked: replace(window(asked), **changes),
            "estimate": lambda asked: [replace(costs, **changes) for costs in estimate(asked)],
        }
        for name, answer in answers.items():
            setattr(session, name, answer)
        return session

    setattr(device, "open", open_confused)  # noqa: B010 - a method, replaced
    return device


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"window_id": 9}, "it answered window 9 where 1 was due"),
        ({"valid_rounds": 0}, "it answered 0 rounds where 1 were asked"),
        ({"valid_rounds": 2}, "it answered 2 rounds where 1 were asked"),
    ],
)
@pytest.mark.parametrize("transport", ["in-process", "grpc"])
@pytest.mark.parametrize("estimates", [False, True])
async def test_an_answer_that_does_not_belong_to_its_window(
    changes: dict[str, Any], text: str, transport: str, estimates: bool
) -> None:
    device = confused(FakeDevice(IDENTITIES), **changes)
    async with DeviceServer(device) as server:
        port = InProcessPort(device) if transport == "in-process" else GrpcPort(server.address)
        await port.hello(HELLO)
        with pytest.raises(DeviceLost, match=text):
            await (port.estimate([PREFILL]) if estimates else port.window(PREFILL))
        await port.abort()


def batch(index: int, decode: list[int], context: list[int], *chunks: Chunk) -> SubBatch:
    return SubBatch(index, np.array(decode, dtype=np.int64), np.array(context, dtype=np.int64), chunks)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "must have at least 1 round, got 0"),
        ({"sub_batches": (batch(2, [], []),)}, r"sub-batches must be 0, 1 or 0 and 1, got \[2\]"),
        ({"sub_batches": (batch(1, [], []), batch(0, [], []))}, r"sub-batches must be .*, got \[1, 0\]"),
        ({"sub_batches": (batch(0, [0], []),)}, "1 decoding requests but 0 contexts"),
        (
            {"rounds": 2, "sub_batches": (batch(0, [], [], Chunk(0, 8, 0, last=True)),)},
            "with a prefill chunk it must be 1 round long, got 2",
        ),
        (
            {"sub_batches": (batch(0, [], [], Chunk(0, 0, 0, last=True)),)},
            "a chunk of request 0 must have 1 to",
        ),
    ],
)
async def test_a_window_that_no_books_could_agree_with(
    port: DevicePort, changes: dict[str, Any], message: str
) -> None:
    await port.hello(HELLO)
    with pytest.raises(OutOfStep, match=rf"^dimm-00 \+1 more: window 1: {message}"):
        await port.window(replace(small_window(1), **changes))


async def test_a_window_before_hello(port: DevicePort) -> None:
    with pytest.raises(OutOfStep, match="Window in a session that has not begun; send Hello first"):
        await port.window(PREFILL)


async def test_hello_twice(port: DevicePort) -> None:
    await port.hello(HELLO)
    with pytest.raises(OutOfStep, match="Hello comes first and once"):
        await port.hello(HELLO)


async def test_nothing_follows_an_abort(port: DevicePort) -> None:
    await port.hello(HELLO)
    await port.abort()
    await port.abort()
    with pytest.raises((OutOfStep, DeviceLost)):
        await port.audit()


async def test_sessions_share_nothing() -> None:
    async with DeviceServer(FakeDevice(IDENTITIES)) as server:
        first, second = GrpcPort(server.address), GrpcPort(server.address)
        await first.hello(HELLO)
        await second.hello(HELLO)
        await first.window(PREFILL)
        # The same request again: unknown to the second session.
        await second.window(PREFILL)
        assert [account.requests for account in await first.audit()] == [1, 1]
        await first.abort()
        assert [account.requests for account in await second.close([])] == [1, 1]


async def test_both_transports_answer_alike() -> None:
    async with DeviceServer(FakeDevice(IDENTITIES)) as server:
        ports: list[DevicePort] = [GrpcPort(server.address), InProcessPort(FakeDevice(IDENTITIES))]
        for call, argument in [
            ("hello", HELLO),
            ("window", PREFILL),
            ("window", DECODE),
            ("estimate", [PREFILL]),
            ("close", [Commit(2, 3)]),
        ]:
            over_wire, direct = [await getattr(port, call)(argument) for port in ports]
            assert same(over_wire, direct), call


async def test_in_process_source() -> None:
    source = InProcessSource({"here:1": FakeDevice(IDENTITIES), "here:2": FakeDevice()})
    assert [(address, device.device_id) for address, device in source.present()] == [
        ("here:1", "a"),
        ("here:1", "b"),
        ("here:2", "fake-0"),
    ]
    assert (await source.connect("here:2").hello(small_hello()))[0].slot == "dimm-00"
    with pytest.raises(Unreachable, match="no device in this process at 'here:3'"):
        source.connect("here:3")


async def test_describe() -> None:
    device = FakeDevice(IDENTITIES)
    async with DeviceServer(device) as server:
        assert same(await describe(server.address), tuple(device.describe()))


async def test_windows_of_several_replicas_may_be_under_way_at_once() -> None:
    async with DeviceServer(FakeDevice(IDENTITIES)) as server:
        port = GrpcPort(server.address)
        await port.hello(small_hello(("a",), layout=small_layout(dp=4)))
        windows: list[Window] = [small_window(i + 1, replica=i, rounds=i + 1) for i in range(4)]
        answers = await asyncio.gather(*map(port.window, windows))
        assert [answer.window_id for answer in answers] == [1, 2, 3, 4]
        assert [answer.costs[0].duration_ps.shape for answer in answers] == [(2, 2, i + 1) for i in range(4)]
        await port.abort()

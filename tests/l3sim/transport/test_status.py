"""The error table is total over the tree, in both directions, and reads no text."""

import inspect
import itertools
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status

from l3sim import errors
from l3sim.errors import DeviceLost, InvalidInput, L3Error, OutOfRoom, Unreachable
from l3sim.transport import channels, status
from l3sim.transport.status import CLASSES, CODES, abort, error_of, error_of_ours


def tree() -> list[type[L3Error]]:
    return [
        member for _, member in inspect.getmembers(errors, inspect.isclass) if issubclass(member, L3Error)
    ]


EXAMPLES: list[L3Error] = [
    InvalidInput(("requests", "must be at least 1, got 0"), ("workload.rate", "must be above 0, got -1")),
    DeviceLost("dimm-07", "the process ended (127.0.0.1:4001)"),
    *(known("what: where: remedy ü") for known in tree() if known not in (InvalidInput, DeviceLost)),
]


def test_the_table_is_total() -> None:
    assert set(CODES) == set(tree())
    assert {type(example) for example in EXAMPLES} == set(tree())
    assert {known.reason: known for known in tree()} == CLASSES, "a reason is used twice"
    assert grpc.StatusCode.OK not in CODES.values()


class Failing:
    """A server whose only method aborts with `error`, or fails as the test likes."""

    def __init__(self) -> None:
        self.error: L3Error | None = None
        self.code = grpc.StatusCode.OK
        self.stranger: Status | None = None

    async def call(self, request: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> bytes:
        if self.error is not None:
            await abort(context, self.error)
        if self.stranger is not None:
            trailing = (("grpc-status-details-bin", self.stranger.SerializeToString()),)
            await context.abort(self.code, self.stranger.message, trailing)
        if self.code is not grpc.StatusCode.OK:
            await context.abort(self.code, "said\nelsewhere")
        return request


@pytest.fixture
async def failing() -> AsyncIterator[tuple[Failing, str]]:
    handler = Failing()
    server = channels.new_server()
    method = grpc.unary_unary_rpc_method_handler(handler.call)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", {"Call": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield handler, f"127.0.0.1:{port}"
    await server.stop(None)


async def call(address: str, data: bytes = b"", options: Any = channels.CLIENT_OPTIONS) -> Any:
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        return await channel.unary_unary("/test.Test/Call", bytes, bytes)(data, timeout=10)


async def failure(address: str, data: bytes = b"") -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(address, data)
    return caught.value


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
async def test_every_error_comes_back_as_itself(failing: tuple[Failing, str], example: L3Error) -> None:
    handler, address = failing
    handler.error = example
    failed = await failure(address)
    assert failed.code() is CODES[type(example)]
    back = error_of(failed, "nowhere")
    assert type(back) is type(example)
    assert str(back) == str(example)
    assert vars(back) == vars(example)


async def test_details_are_those_that_clients_of_other_languages_read(failing: tuple[Failing, str]) -> None:
    handler, address = failing
    handler.error = InvalidInput(("requests", "must be at least 1"))
    failed = await failure(address)
    trailing: Any = failed.trailing_metadata()
    rich = Status.FromString(dict(trailing)["grpc-status-details-bin"])
    names = [detail.TypeName() for detail in rich.details]
    assert names == ["google.rpc.ErrorInfo", "google.rpc.BadRequest"]
    not_ready = status.status_of(errors.NotReady("attention: 31 of 32 devices are present"))
    assert [detail.TypeName() for detail in not_ready.details] == [
        "google.rpc.ErrorInfo",
        "google.rpc.RetryInfo",
    ]


async def test_a_thousand_violations_still_travel(failing: tuple[Failing, str]) -> None:
    handler, address = failing
    handler.error = InvalidInput(*((f"field[{i}]", "ü" * 300) for i in range(1000)))
    back = error_of(await failure(address), "nowhere")
    assert isinstance(back, InvalidInput)
    assert len(back.violations) == status.MAX_VIOLATIONS + 1
    assert back.violations[0] == ("field[0]", "ü" * 196 + " ...")
    assert back.violations[-1] == ("", "and 980 more")


async def test_a_field_that_a_stranger_refuses_keeps_its_name(failing: tuple[Failing, str]) -> None:
    handler, address = failing
    bad = BadRequest()
    bad.field_violations.add(field="link.foo", description="unknown key 'foo'")
    handler.stranger = Status(message="unknown key 'foo'")
    handler.stranger.details.add().Pack(bad)
    handler.code = grpc.StatusCode.INVALID_ARGUMENT
    back = error_of(await failure(address), "nowhere")
    assert isinstance(back, InvalidInput)
    assert str(back) == "link.foo: unknown key 'foo'"
    handler.code = grpc.StatusCode.ABORTED
    assert error_of_ours(await failure(address)) is None


async def test_a_reason_of_a_newer_peer_keeps_its_text(failing: tuple[Failing, str]) -> None:
    class Newer(L3Error):
        reason = "NEWER"

    handler, address = failing
    handler.error = Newer("something new")
    CODES[Newer] = grpc.StatusCode.ABORTED
    try:
        back = error_of(await failure(address), "nowhere")
    finally:
        del CODES[Newer]
    assert type(back) is L3Error
    assert str(back) == "something new"


FOREIGN: dict[grpc.StatusCode, type[L3Error]] = {
    grpc.StatusCode.UNAVAILABLE: Unreachable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unreachable,
}
FOREIGN |= {grpc.StatusCode.RESOURCE_EXHAUSTED: OutOfRoom}


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_every_foreign_code_becomes_an_error(
    failing: tuple[Failing, str], code: grpc.StatusCode
) -> None:
    handler, address = failing
    handler.code = code
    failed = await failure(address)
    assert error_of_ours(failed) is None
    back = error_of(failed, "device at here:1")
    assert type(back) is FOREIGN.get(code, L3Error)
    assert str(back).startswith("device at here:1")
    assert "said elsewhere" in str(back)


async def test_a_message_above_the_limit_is_out_of_room(failing: tuple[Failing, str]) -> None:
    _, address = failing
    assert await call(address, bytes(2**20)) == bytes(2**20)
    data = bytes(channels.MAX_MESSAGE_BYTES + 1)
    back = error_of(await failure(address, data), "orchestrator at here:1")
    assert type(back) is OutOfRoom
    assert "larger than max" in str(back)
    # A client without our options is stopped by the server.
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(address, data, options=[("grpc.max_send_message_length", -1)])
    assert type(error_of(caught.value, "nowhere")) is OutOfRoom


async def test_nobody_there_is_unreachable() -> None:
    back = error_of(await failure("127.0.0.1:1"), "orchestrator at 127.0.0.1:1")
    assert type(back) is Unreachable
    assert str(back).startswith("orchestrator at 127.0.0.1:1 does not answer: ")


def test_both_ends_agree_on_keepalive_and_size() -> None:
    client, server = dict(channels.CLIENT_OPTIONS), dict(channels.SERVER_OPTIONS)
    shared = ("grpc.max_send_message_length", "grpc.max_receive_message_length", "grpc.keepalive_time_ms")
    for one, key in itertools.product((client, server), shared):
        assert one[key] == client[key]
    assert server["grpc.http2.min_ping_interval_without_data_ms"] < client["grpc.keepalive_time_ms"]

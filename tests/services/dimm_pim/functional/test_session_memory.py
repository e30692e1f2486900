"""Functional work in sessions: several modules at two addresses, in process and over gRPC, against float64.

address 0: modules 0, 1 (channel 0)      address 1: modules 2, 3 (channel 1)
six KV heads in groups of four: group 0 on one channel, group 1, half filled, on the other
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from l3sim.errors import InvalidInput, InvariantBroken, L3Error, OutOfRoom, OutOfStep, Unsupported
from l3sim.functional import (
    Attend,
    Attended,
    FunctionalAnswer,
    FunctionalRequest,
    Offload,
    Offloaded,
    ReadBack,
    Returned,
    joined,
)
from l3sim.ports import DevicePort
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.dram.command.kernel import kernel_of
from l3sim.services.dram.command.result import attend
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.testing import FakeDevice
from l3sim.testing.builders import small_hello, small_window
from l3sim.transport.grpc_port import GrpcPort
from l3sim.transport.in_process import InProcessPort
from l3sim.transport.server import DeviceServer
from l3sim.work import KvPlacement, Window
from tests.l3sim.transport.equal import same
from tests.services.builders import hello, identities, machine, reshaped
from tests.services.dimm_pim.functional.builders import reference

MODULES = ((0, 1), (2, 3))
PLACES = (KvPlacement(0, 1, 0), KvPlacement(7, 3, 1))
RNG = np.random.default_rng(11)


def small(**settings: Any) -> Machine:
    values = {"level": "command", "n_hc": 2, "row_bytes": 64, **settings}
    return machine("l3-mini", **{f"attention__{key}": value for key, value in values.items()})


def shape(queries: int = 4) -> ModelShape:
    return reshaped("llama-2-7b", layers=3, heads=6 * queries, kv_heads=6, head_size=32)


def halves(*sizes: int) -> Any:
    return RNG.standard_normal(sizes).astype(np.float16)


@asynccontextmanager
async def ports(transport: str, on: Machine | None = None) -> AsyncIterator[list[DevicePort]]:
    """Two addresses with open sessions in which requests 0 and 7 are placed."""
    async with AsyncExitStack() as stack:
        opened: list[DevicePort] = []
        for modules in MODULES:
            device = DimmPimDevice(identities(modules))
            if transport == "grpc":
                server = await stack.enter_async_context(DeviceServer(device))
                port = GrpcPort(server.address)
                stack.push_async_callback(port.abort)
                opened.append(port)
            else:
                opened.append(InProcessPort(device))
            await opened[-1].hello(hello("attention", on or small(), shape(), 1, modules=modules))
            await opened[-1].window(small_window(1, places=PLACES))
        yield opened


async def ask(opened: Sequence[DevicePort], work: FunctionalRequest) -> list[FunctionalAnswer]:
    return [await port.functional(work) for port in opened]


async def conversation(opened: Sequence[DevicePort]) -> tuple[list[Any], list[Any], dict[Any, Any]]:
    """Offload, attend twice, read back; returns all answers, the work, and K and V as they should be."""
    model, told, works = shape(), [], []
    kv: dict[Any, Any] = {}

    async def do(work: FunctionalRequest) -> None:
        works.append(work)
        told.append(await ask(opened, work))

    for request, tokens in ((0, 37), (7, 32)):
        for layer in range(model.layers):
            k, v = halves(tokens, 6, 32), halves(tokens, 6, 32)
            await do(Offload(request, layer, 0, k[:20], v[:20]))
            await do(Offload(request, layer, 20, k[20:], v[20:]))
            kv[request, layer] = k, v
    for _ in range(2):
        for layer in range(model.layers):
            work = Attend(layer, (7, 0), halves(2, model.heads, 32), halves(2, 6, 32), halves(2, 6, 32))
            for number, request in enumerate(work.requests):
                k, v = kv[request, layer]
                kv[request, layer] = (
                    np.vstack([k, work.k[None, number]]),
                    np.vstack([v, work.v[None, number]]),
                )
            await do(work)
    await do(ReadBack(0, 2, 5, 34))
    return told, works, kv


@pytest.mark.parametrize("transport", ["in-process", "grpc"])
async def test_a_conversation_equals_float64(transport: str) -> None:
    on, model = small(), shape()
    session = hello("attention", on, model, 1, modules=range(4))
    kernel = kernel_of(on.attention, model, session.layout)
    held = {(request, layer): tokens for request, tokens in ((0, 37), (7, 32)) for layer in range(3)}
    async with ports(transport) as opened:
        told, works, kv = await conversation(opened)
    attended = 0
    for answers, work in zip(told, works, strict=True):
        if isinstance(work, Attend):
            assert all(isinstance(answer, Attended) for answer in answers)
            outputs = joined([(answer.outputs, answer.present) for answer in answers])
            for number, request in enumerate(work.requests):
                held[request, work.layer] += 1
                k, v = (data[: held[request, work.layer]] for data in kv[request, work.layer])
                q = work.q[number].reshape(6, 4, 32)
                expected, bound = reference(kernel, q, k, v)
                assert (abs(outputs[number].reshape(6, 4, 32) - expected) <= bound).all()
                attended += 1
            # Request 0 lies at offset 1 and 7 at offset 3, each with a rankset of its own: one group a rank.
            lanes = [
                (MODULES[i][device], domain, took)
                for i, answer in enumerate(answers)
                for device, domain, took in zip(answer.device, answer.domain, answer.duration_ps, strict=True)
            ]
            expected_lanes = set()
            for request, offset in ((0, 1), (7, 3)):
                rankset = (offset + work.layer) % 4
                took = attend(kernel, [held[request, work.layer]]).cycles * 625
                expected_lanes |= {(module + rankset // 2, rankset % 2, took) for module in (0, 2)}
            assert set(lanes) == expected_lanes
        elif isinstance(work, Offload):
            assert answers == [Offloaded(work.first + len(work.k))] * 2
    assert attended == 12
    back = told[-1]
    assert all(isinstance(answer, Returned) for answer in back)
    for name, data in zip("kv", kv[0, 2], strict=True):
        whole = joined([(getattr(answer, name), answer.present) for answer in back])
        assert np.array_equal(whole, data[5:39])


async def test_both_transports_answer_byte_for_byte() -> None:
    told = []
    for transport in ("in-process", "grpc"):
        global RNG
        RNG = np.random.default_rng(4)
        async with ports(transport) as opened:
            told.append((await conversation(opened))[0])
    assert same(*told)


TOKEN = halves(1, 6, 32)
WRONG = halves(1, 5, 32)


@pytest.mark.parametrize("transport", ["in-process", "grpc"])
@pytest.mark.parametrize(
    ("work", "error", "text"),
    [
        (
            Offload(3, 0, 0, TOKEN, TOKEN),
            OutOfStep,
            "request 3 is not placed here; send a window that places it",
        ),
        (
            ReadBack(0, 0, 0, 1),
            OutOfStep,
            "request 0 has 0 tokens of layer 0 here; it cannot give 1 from token 0",
        ),
        (
            Offload(0, 0, 2, TOKEN, TOKEN),
            OutOfStep,
            "has 0 tokens of layer 0 here; the next is token 0, not 2",
        ),
        (Offload(0, 3, 0, TOKEN, TOKEN), InvalidInput, "offload.layer: must be 0 to 2, got 3"),
        (
            Offload(0, 0, 0, TOKEN, WRONG),
            InvalidInput,
            "offload.v: must be float16 [1, 6, 32], got float16 [1, 5, 32]",
        ),
        (ReadBack(0, 0, 0, 0), InvalidInput, "readback.tokens: must ask for 1 token or more from token 0 on"),
        (
            Attend(0, (0, 0), halves(2, 24, 32), halves(2, 6, 32), halves(2, 6, 32)),
            InvalidInput,
            "attend.requests: names a request twice; it gets one token a call",
        ),
        (Offload(0, 0, 0, TOKEN[:0], TOKEN[:0]), InvalidInput, "offload: has nothing to do"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(
    transport: str, work: FunctionalRequest, error: type[L3Error], text: str
) -> None:
    async with ports(transport) as opened:
        with pytest.raises(error) as caught:
            await opened[0].functional(work)
    assert type(caught.value) is error
    assert text in str(caught.value)


@pytest.mark.parametrize("transport", ["in-process", "grpc"])
@pytest.mark.parametrize("level", ["roofline"])
async def test_other_levels_compute_nothing(transport: str, level: str) -> None:
    async with ports(transport, small(level=level)) as opened:
        with pytest.raises(Unsupported, match=rf"dimm-00 runs at level '{level}', which times and does not"):
            await opened[0].functional(ReadBack(0, 0, 0, 1))


async def test_devices_that_compute_nothing_say_so() -> None:
    async with DeviceServer(FakeDevice()) as server:
        port = GrpcPort(server.address)
        await port.hello(small_hello())
        with pytest.raises(Unsupported, match="ReadBack is functional work, which this device does not do"):
            await port.functional(ReadBack(0, 0, 0, 1))
        await port.abort()


async def test_a_rank_that_is_full_is_named_and_no_rank_writes() -> None:
    on = small(rank_capacity_bytes=2**20, memory_share=0.03)  # one row block of 8 KiB for K, one for V
    session = DimmPimDevice(identities((0, 1, 2, 3))).open(
        hello("attention", on, shape(), 1, modules=(0, 1, 2, 3))
    )
    session.window(small_window(1, places=[KvPlacement(0, 0, 0), KvPlacement(1, 0, 0)]))
    full = halves(32, 6, 32)
    session.functional(Offload(0, 0, 0, full, full))
    with pytest.raises(
        OutOfRoom, match=r"^rank-0 of dimm-00: 2 more row blocks are needed and 1 of 3 are free"
    ):
        session.functional(Offload(1, 0, 0, full, full))
    with pytest.raises(OutOfStep):
        session.functional(ReadBack(1, 0, 0, 1))
    session.window(Window(2, 0, 1, (), (), (0,)))
    session.functional(Offload(1, 0, 0, full, full))
    back = session.functional(ReadBack(1, 0, 0, 32))
    assert isinstance(back, Returned)
    assert np.array_equal(back.k, full)
    with pytest.raises(OutOfStep, match="request 0 is not placed"):
        session.functional(ReadBack(0, 0, 0, 1))


async def test_a_head_that_lies_nowhere_is_noticed() -> None:
    here, absent = np.array([True, False]), np.array([False, False])
    tensor = halves(3, 2, 4)
    with pytest.raises(InvariantBroken, match="lies at no address, or at two"):
        joined([(tensor, here), (tensor, absent)])
    with pytest.raises(InvariantBroken):
        joined([(tensor, here), (tensor, here)])

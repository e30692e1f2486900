"""A device that keeps the contract, and devices that each break one promise of it.

    GoodDevice ── faults of its sessions (costs, books)         one function each
        └──────── faults of its servicer (order, breaking)      one class each

`BROKEN` says which check each must fail, and it alone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from l3sim import PROTOCOL_VERSION
from l3sim.device import Ledger
from l3sim.errors import L3Error, NotReady
from l3sim.ports import DeviceSession
from l3sim.testing.fakes import FakeDevice, FakeSession
from l3sim.transport.conversation import Conversation
from l3sim.transport.server import DeviceServicer, answer
from l3sim.transport.status import abort
from l3sim.v1 import device_pb2 as pb
from l3sim.work import BLOCK, Account, Costs, DeviceDescription, DeviceReady, Hello, Op, OpCost, Window

ROOM = 2**30


class GoodSession(FakeSession):
    """Attention of two ranks that hold what they say."""

    def __init__(self, hello: Hello, slowness: Sequence[int], room: int | None = ROOM) -> None:
        super().__init__(hello, slowness)
        assignments = sum(len(slot.assignments) for slot in hello.slots)
        self._room_bytes = None if room is None else np.full(assignments, room, dtype=np.int64)

    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
        return tuple(cost for cost in super().costs(window, ledger) if (cost.duration_ps > 0).any())


class GoodDevice(FakeDevice):
    """Conforms."""

    make: Callable[..., GoodSession] = GoodSession

    def open(self, hello: Hello) -> DeviceSession:
        opened = super().open(hello)
        assert isinstance(opened, FakeSession)
        return type(self).make(hello, opened._slowness)


def costing(change: Callable[[Costs, "GoodSession"], Costs]) -> type[GoodDevice]:
    """A device whose answers to windows pass through a function."""

    class Session(GoodSession):
        def window(self, window: Window) -> Costs:
            return change(super().window(window), self)

    return type("Costing", (GoodDevice,), {"make": Session})


def with_costs(change: Callable[[OpCost], OpCost]) -> type[GoodDevice]:
    """A device whose costs pass through a function, in estimates too."""

    class Session(GoodSession):
        def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
            return tuple(map(change, super().costs(window, ledger)))

    return type("Costs", (GoodDevice,), {"make": Session})


def with_durations(change: Callable[[Any], Any]) -> type[GoodDevice]:
    """A device whose durations pass through a function, in estimates too."""
    return with_costs(lambda cost: replace(cost, duration_ps=change(cost.duration_ps)))


def each(change: Callable[[OpCost], OpCost]) -> Callable[[Costs, "GoodSession"], Costs]:
    return lambda costs, _: replace(costs, costs=tuple(map(change, costs.costs)))


def misread(costs: Costs, _: "GoodSession") -> Costs:
    return replace(costs, window_id=costs.window_id + 1)


def renamed(cost: OpCost) -> OpCost:
    return replace(cost, op=Op.HEAD)


def later(costs: Costs, by_ps: int) -> Costs:
    """The same answer with every cost so much higher."""
    changed = [replace(cost, duration_ps=cost.duration_ps + by_ps) for cost in costs.costs]
    return replace(costs, costs=tuple(changed))


class Unreadable(GoodDevice):
    """Its schema refers to what it does not define."""

    def describe(self) -> Sequence[DeviceDescription]:
        return [replace(one, config_schema_json='{"$ref": "#/$defs/X"}') for one in super().describe()]


class OfAnotherTrade(GoodDevice):
    """Lists what another role has to cost."""

    def describe(self) -> Sequence[DeviceDescription]:
        return [replace(one, operations=(Op.TRANSFER_UP,)) for one in super().describe()]


class Roomless(GoodDevice):
    """Has ranks that hold nothing."""

    class make(GoodSession):  # noqa: N801
        def ready(self) -> Sequence[DeviceReady]:
            return [
                replace(one, regions=tuple(replace(region, capacity_bytes=0) for region in one.regions))
                for one in super().ready()
            ]


class OfAnotherLevel(GoodDevice):
    class make(GoodSession):  # noqa: N801
        def ready(self) -> Sequence[DeviceReady]:
            return [replace(one, level="imagined") for one in super().ready()]


class Tolerant(GoodDevice):
    def open(self, hello: Hello) -> DeviceSession:
        slots = tuple(replace(slot, config={}) for slot in hello.slots)
        return super().open(replace(hello, slots=slots))


class Credulous(GoodDevice):
    class make(GoodSession):  # noqa: N801
        def __init__(self, hello: Hello, slowness: Sequence[int]) -> None:
            super().__init__(hello, slowness)
            self.ledger.check = lambda window, members: None  # type: ignore[method-assign]


class Miscounting(GoodDevice):
    class make(GoodSession):  # noqa: N801
        def audit(self) -> Sequence[Account]:
            return [replace(one, rounds=one.rounds + (one.rounds > 1)) for one in super().audit()]


class Bottomless(GoodDevice):
    class make(GoodSession):  # noqa: N801
        def __init__(self, hello: Hello, slowness: Sequence[int]) -> None:
            super().__init__(hello, slowness, None)


class Unstriped(GoodDevice):
    """Lists KV in stripes, and keeps it by head groups."""

    def describe(self) -> Sequence[DeviceDescription]:
        return [replace(one, partitions=(BLOCK,)) for one in super().describe()]

    def open(self, hello: Hello) -> DeviceSession:
        return super().open(replace(hello, layout=replace(hello.layout, stripe_tokens=0)))


class Whimsical(GoodDevice):
    """Takes longer each time that anybody asks."""

    asked = count()

    class make(GoodSession):  # noqa: N801
        def window(self, window: Window) -> Costs:
            return later(super().window(window), next(Whimsical.asked))


class AnyVersion(DeviceServicer):
    async def Session(self, requests: Any, context: Any) -> AsyncIterator[pb.SessionResponse]:  # noqa: N802
        async def patched() -> AsyncIterator[pb.SessionRequest]:
            async for request in requests:
                if request.HasField("hello"):
                    request.hello.protocol_version = PROTOCOL_VERSION
                yield request

        async for response in super().Session(patched(), context):
            yield response


class Talkative(DeviceServicer):
    """Goes on after Closed."""

    async def Session(self, requests: Any, context: Any) -> AsyncIterator[pb.SessionResponse]:  # noqa: N802
        async for response in super().Session(requests, context):
            yield response
            if response.HasField("closed"):
                yield response


class HelloAgain(DeviceServicer):
    """Takes every Hello."""

    async def Session(self, requests: Any, context: Any) -> AsyncIterator[pb.SessionResponse]:  # noqa: N802
        conversation = Conversation(self._device)
        async for request in requests:
            if request.HasField("hello"):
                conversation = Conversation(self._device)
            try:
                response = answer(conversation, request)
            except L3Error as error:
                await abort(context, error)
            yield response
            if response.HasField("closed"):
                return


class Grudging(DeviceServicer):
    """Works no more after an error that it did not expect."""

    grudge: tuple[type[BaseException], ...] = (DecodeError,)
    offended = False

    async def Session(self, requests: Any, context: Any) -> AsyncIterator[pb.SessionResponse]:  # noqa: N802
        if self.offended:
            await abort(context, NotReady("no more"))
        try:
            async for response in super().Session(requests, context):
                yield response
        except self.grudge:
            self.offended = True
            raise


class Fragile(Grudging):
    """Works no more after a session that was cancelled."""

    grudge = (asyncio.CancelledError, GeneratorExit)


class ShortOfBytes(DeviceServicer):
    """Its byte strings are a number short, which only the wire can say."""

    async def Session(self, requests: Any, context: Any) -> AsyncIterator[pb.SessionResponse]:  # noqa: N802
        async for response in super().Session(requests, context):
            for cost in response.costs.costs:
                cost.duration_ps = cost.duration_ps[:-8]
            yield response


class Nameless(DeviceServicer):
    async def Describe(self, request: Any, context: Any) -> pb.DescribeResponse:  # noqa: N802
        response = await super().Describe(request, context)
        for device in response.devices:
            device.version = ""
        return response


#: (the check that must fail, device, servicer) by fault.
BROKEN: dict[str, tuple[str, type[GoodDevice], type[DeviceServicer]]] = {
    "has no version": ("describe", GoodDevice, Nameless),
    "publishes half a schema": ("schema", Unreadable, DeviceServicer),
    "lists what is not its part": ("operations", OfAnotherTrade, DeviceServicer),
    "has no room for KV": ("hello", Roomless, DeviceServicer),
    "runs at a level it never listed": ("hello", OfAnotherLevel, DeviceServicer),
    "ignores its configuration": ("unknown-key", Tolerant, DeviceServicer),
    "takes any version": ("version", GoodDevice, AnyVersion),
    "takes Hello twice": ("order", GoodDevice, HelloAgain),
    "goes on after Closed": ("close", GoodDevice, Talkative),
    "costs what it never listed": ("shapes", costing(each(renamed)), DeviceServicer),
    "leaves work without a cost": (
        "shapes",
        costing(lambda told, _: replace(told, costs=())),
        DeviceServicer,
    ),
    "answers another window": ("shapes", costing(misread), DeviceServicer),
    "is short of bytes": ("shapes", GoodDevice, ShortOfBytes),
    "takes negative time": ("units", with_durations(lambda ps: -ps), DeviceServicer),
    "says NaN": ("units", with_durations(lambda ps: (ps * np.nan).view(np.int64)), DeviceServicer),
    "counts energy in picojoules": (
        "units",
        with_costs(lambda cost: replace(cost, energy_nj=cost.energy_nj * 10**9)),
        DeviceServicer,
    ),
    "gets tired": ("deterministic", Whimsical, DeviceServicer),
    "is cheaper by the dozen": (
        "lockstep",
        with_durations(lambda ps: ps if ps.shape[2] == 1 else ps - 1),
        DeviceServicer,
    ),
    "remembers what never happened": (
        "no-trace",
        costing(lambda costs, session: later(costs, len(session._open))),
        DeviceServicer,
    ),
    "is cheaper for much": ("monotone", with_durations(lambda ps: ps % 1_000_003), DeviceServicer),
    "believes every context": ("ledger", Credulous, DeviceServicer),
    "miscounts": ("books", Miscounting, DeviceServicer),
    "holds more than it says": ("capacity", Bottomless, DeviceServicer),
    "has no stripes": ("stripes", Unstriped, DeviceServicer),
    "cannot be cancelled": ("cancel", GoodDevice, Fragile),
    "takes offence at nonsense": ("broken-session", GoodDevice, Grudging),
}

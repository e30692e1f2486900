"""Devices in the orchestrator's own process: the dataclasses pass as they are, nothing is decoded.

A stranger's answers are encoded all the same, and dropped, so that what the wire could not say is refused
here too. Ours are trusted, which spares them that.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from l3sim.errors import DeviceLost, InvalidInput, InvariantBroken, L3Error, Unreachable
from l3sim.functional import FunctionalAnswer, FunctionalRequest, answers
from l3sim.origin import is_ours, read
from l3sim.ports import Device, DevicePort, DeviceSource
from l3sim.transport.conversation import Conversation, blamed, other_window, saying
from l3sim.transport.convert.functional import answer_to_proto
from l3sim.transport.convert.rounds import check_values, costs_to_proto
from l3sim.transport.convert.session import accounts_to_proto, ready_to_proto
from l3sim.transport.description import described
from l3sim.work import Account, Commit, Costs, DeviceDescription, DeviceReady, Hello, Window

P = ParamSpec("P")
T = TypeVar("T")


class InProcessPort(DevicePort):
    """A session with a device object. Answers at once, with the errors that GrpcPort would raise."""

    def __init__(self, device: Device) -> None:
        self._conversation = Conversation(device)
        self._trusted = is_ours(device)
        self.slots: tuple[str, ...] = ()
        self.messages = 0

    async def hello(self, hello: Hello) -> Sequence[DeviceReady]:
        """See DevicePort.hello. In a thread: a device may read tables from disk, build them, or compile."""
        self.slots = tuple(slot.slot for slot in hello.slots)
        ready = await asyncio.to_thread(self._ask, self._conversation.hello, hello)
        return self._sayable(ready, ready_to_proto)

    async def window(self, window: Window) -> Costs:
        """See DevicePort.window."""
        return self._checked(self._ask(self._conversation.window, window), window)

    async def estimate(self, windows: Sequence[Window]) -> Sequence[Costs]:
        """See DevicePort.estimate."""
        estimates = self._ask(self._conversation.estimate, windows)
        if len(estimates) != len(windows):
            raise self._lost(f"{len(estimates)} estimates for {len(windows)} questions")
        return tuple(map(self._checked, estimates, windows))

    async def audit(self) -> Sequence[Account]:
        """See DevicePort.audit."""
        return self._sayable(self._ask(self._conversation.audit), accounts_to_proto)

    async def functional(self, work: FunctionalRequest) -> FunctionalAnswer:
        """See DevicePort.functional."""
        answer = self._sayable(self._ask(self._conversation.functional, work), answer_to_proto)
        if not answers(answer, work):
            raise self._lost(f"it answered {type(answer).__name__} to {type(work).__name__}")
        return answer

    async def close(self, commits: Sequence[Commit]) -> Sequence[Account]:
        """See DevicePort.close."""
        return self._sayable(self._ask(self._conversation.close, commits), accounts_to_proto)

    async def abort(self) -> None:
        """See DevicePort.abort."""
        self._conversation.drop()

    def _ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.messages += 2
        try:
            return call(*args, **kwargs)
        except L3Error as error:
            raise blamed(error, self.slots) from error

    def _sayable(self, answer: T, to_proto: Callable[[T], object]) -> T:
        """The answer, refused where GrpcPort could not have heard it."""
        if self._trusted:
            return answer
        try:
            with saying():
                to_proto(answer)
        except InvariantBroken as error:
            self._conversation.drop()
            raise blamed(error, self.slots) from error
        return answer

    def _checked(self, costs: Costs, window: Window) -> Costs:
        self._sayable(costs, costs_to_proto)
        if text := other_window(costs.window_id, costs.valid_rounds, window):
            raise self._lost(text)
        if not self._trusted:
            try:
                for cost in costs.costs:
                    check_values(cost)
            except InvalidInput as error:
                raise self._lost(f"malformed answer: {error}") from None
        return costs

    def _lost(self, why: str) -> DeviceLost:
        self._conversation.drop()
        return DeviceLost(self.slots[0] if self.slots else "device", why)


class InProcessSource(DeviceSource):
    """Device objects by a made-up address.

    Args:
        devices: all devices of what would be one process, by the address that it would have.
    """

    transport = "in-process"

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self._devices = devices
        for device in devices.values():
            read(type(device))

    def present(self) -> Sequence[tuple[str, DeviceDescription]]:
        """See DeviceSource.present."""
        return [
            (address, description)
            for address, device in self._devices.items()
            for description in described(device)
        ]

    def connect(self, address: str) -> DevicePort:
        """See DeviceSource.connect.

        Raises:
            Unreachable: no device object has that address.
        """
        try:
            return InProcessPort(self._devices[address])
        except KeyError:
            raise Unreachable(f"no device in this process at {address!r}") from None

"""Devices in the orchestrator's own process: the dataclasses pass as they are, nothing is encoded."""

from collections.abc import Mapping, Sequence

from l3sim.errors import DeviceLost, L3Error, Unreachable
from l3sim.functional import FunctionalAnswer, FunctionalRequest
from l3sim.ports import Device, DevicePort, DeviceSource
from l3sim.transport.conversation import Conversation, blamed, other_window
from l3sim.work import Account, Commit, Costs, DeviceDescription, DeviceReady, Hello, Window


class InProcessPort(DevicePort):
    """A session with a device object. Answers at once, with the errors that GrpcPort would raise."""

    def __init__(self, device: Device) -> None:
        self._conversation = Conversation(device)
        self.slots: tuple[str, ...] = ()
        self.messages = 0

    async def hello(self, hello: Hello) -> Sequence[DeviceReady]:
        """See DevicePort.hello."""
        self.slots = tuple(slot.slot for slot in hello.slots)
        self.messages += 2
        try:
            return self._conversation.hello(hello)
        except L3Error as error:
            raise blamed(error, self.slots) from error

    async def window(self, window: Window) -> Costs:
        """See DevicePort.window."""
        self.messages += 2
        try:
            costs = self._conversation.window(window)
        except L3Error as error:
            raise blamed(error, self.slots) from error
        return self._checked(costs, window)

    async def estimate(self, windows: Sequence[Window]) -> Sequence[Costs]:
        """See DevicePort.estimate."""
        self.messages += 2
        try:
            answers = self._conversation.estimate(windows)
        except L3Error as error:
            raise blamed(error, self.slots) from error
        if len(answers) != len(windows):
            raise self._lost(f"{len(answers)} estimates for {len(windows)} questions")
        return tuple(map(self._checked, answers, windows))

    async def audit(self) -> Sequence[Account]:
        """See DevicePort.audit."""
        self.messages += 2
        try:
            return self._conversation.audit()
        except L3Error as error:
            raise blamed(error, self.slots) from error

    async def functional(self, work: FunctionalRequest) -> FunctionalAnswer:
        """See DevicePort.functional."""
        self.messages += 2
        try:
            return self._conversation.functional(work)
        except L3Error as error:
            raise blamed(error, self.slots) from error

    async def close(self, commits: Sequence[Commit]) -> Sequence[Account]:
        """See DevicePort.close."""
        self.messages += 2
        try:
            return self._conversation.close(commits)
        except L3Error as error:
            raise blamed(error, self.slots) from error

    async def abort(self) -> None:
        """See DevicePort.abort."""
        self._conversation.drop()

    def _checked(self, costs: Costs, window: Window) -> Costs:
        if text := other_window(costs.window_id, costs.valid_rounds, window):
            raise self._lost(text)
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

    def present(self) -> Sequence[tuple[str, DeviceDescription]]:
        """See DeviceSource.present."""
        return [
            (address, description)
            for address, device in self._devices.items()
            for description in device.describe()
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

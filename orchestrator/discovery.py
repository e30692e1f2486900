"""Who is on the machine: listens to presence on the bus and asks each address once who lives there.

The bus says that somebody came or went; the address itself says who they are (Describe). A dead broker
changes nothing: whoever was known stays known, until asking again fails.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from l3sim.errors import InvalidInput, L3Error, NotReady, ProtocolMismatch
from l3sim.ports import BusPort, Clock
from l3sim.specs.machine import Machine
from l3sim.transport.presence import OFFLINE, READY
from l3sim.transport.topics import device_topic, from_json
from l3sim.v1.bus_pb2 import Presence
from l3sim.work import DeviceDescription
from orchestrator.slots import FilledSlot, assign_slots, fill_slots, natural

#: Wall seconds until an announced address that did not answer is asked again.
RETRY_S = 2.0

#: States beside READY and OFFLINE, which devices announce.
UNREACHABLE, INCOMPATIBLE = "unreachable", "incompatible"

_log = logging.getLogger(__name__)


#: What an address said of itself, or why it said nothing.
Answer = Sequence[DeviceDescription] | L3Error


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device that announced itself.

    Attributes:
        announced: its newest presence message.
        description: what it says of itself, when it can be used.
        state: READY, OFFLINE, UNREACHABLE or INCOMPATIBLE.
        reason: why it is not READY, in a few words.
    """

    announced: Presence
    description: DeviceDescription | None
    state: str
    reason: str


class Discovery:
    """The devices of one machine.

    Args:
        describe: asks an address who lives there; raises Unreachable when it does not answer in time,
            and ProtocolMismatch.
    """

    def __init__(
        self,
        bus: BusPort,
        machine: Machine,
        describe: Callable[[str], Awaitable[Sequence[DeviceDescription]]],
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._machine = machine
        self._describe = describe
        self._clock = clock
        self._announced: dict[str, Presence] = {}
        self._answers: dict[str, Answer] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._pokes: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()

    async def listen(self) -> None:
        """Follow the bus until cancelled."""
        try:
            async for topic, payload in self._bus.messages(device_topic(self._machine.name, "+")):
                self._hear(topic.rpartition("/")[2], payload)
        finally:
            for keeper in self._keepers.values():
                keeper.cancel()
            await asyncio.gather(*self._keepers.values(), return_exceptions=True)

    def devices(self) -> list[DeviceStatus]:
        """Everybody who announced themselves, by device id."""
        return [self._status(self._announced[name]) for name in sorted(self._announced, key=natural)]

    def present(self) -> list[tuple[str, DeviceDescription]]:
        """(address, description) of every device that is ready now."""
        return [
            (status.announced.address, status.description)
            for status in self.devices()
            if status.state == READY and status.description is not None
        ]

    def assigned(self) -> list[FilledSlot]:
        """Who would fill which slot if a job started now; slots that nobody fills are left out."""
        return assign_slots(self._machine, self.present())

    def check(self) -> None:
        """Refuse what could not start now.

        Raises:
            NotReady: naming role, needed and present, and who is there but cannot be used.
        """
        left_out = [
            f"{status.announced.device_id}: {status.reason}"
            for status in self.devices()
            if status.state in (UNREACHABLE, INCOMPATIBLE)
        ]
        fill_slots(self._machine, self.present(), left_out)

    async def complete(self) -> None:
        """Return once every slot can be filled."""
        while True:
            changed = self._changed
            try:
                return self.check()
            except NotReady:
                await changed.wait()

    async def recheck(self) -> None:
        """Ask every address again, because a job has just lost somebody."""
        addresses = {seen.address for seen in self._announced.values() if seen.state == READY}
        for address, answered in zip(
            addresses, await asyncio.gather(*map(self._refresh, addresses)), strict=True
        ):
            if not answered:
                self._keep(address)

    def _hear(self, device_id: str, payload: bytes) -> None:
        before = self._announced.get(device_id)
        if not payload:
            self._announced.pop(device_id, None)
            self._wake()
            return
        seen = Presence()
        try:
            from_json(payload, seen)
        except InvalidInput as error:
            _log.warning("presence of %s cannot be read: %s", device_id, error)
            return
        if seen.device_id != device_id:
            _log.warning("presence of %s names %s instead; not used", device_id, seen.device_id)
            return
        self._announced[device_id] = seen
        if seen.state == READY:
            if before is None or before.state != READY or before.address != seen.address:
                # Somebody new lives there: what the address said before no longer counts.
                self._answers.pop(seen.address, None)
            self._keep(seen.address)
        self._wake()

    def _keep(self, address: str) -> None:
        """See to it that an address is asked, soon and from now on."""
        self._pokes.setdefault(address, asyncio.Event()).set()
        if address not in self._keepers:
            self._keepers[address] = asyncio.create_task(self._ask(address), name=f"describe {address}")

    async def _ask(self, address: str) -> None:
        """Ask until there is an answer or nobody announces this address any more."""
        poke = self._pokes[address]
        try:
            while True:
                poke.clear()
                answered = await self._refresh(address)
                if poke.is_set():
                    continue
                if answered or not self._is_announced(address):
                    return
                await self._pause(poke)
        finally:
            del self._keepers[address], self._pokes[address]

    async def _refresh(self, address: str) -> bool:
        """Ask once and keep the answer, or the error. Returns: whether it answered."""
        answer: Answer
        try:
            answer = await self._describe(address)
        except L3Error as error:
            answer = error
        self._answers[address] = answer
        self._wake()
        return not isinstance(answer, L3Error)

    async def _pause(self, poke: asyncio.Event) -> None:
        waits = [asyncio.create_task(poke.wait()), asyncio.ensure_future(self._clock.sleep(RETRY_S))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _is_announced(self, address: str) -> bool:
        return any(seen.address == address and seen.state == READY for seen in self._announced.values())

    def _status(self, seen: Presence) -> DeviceStatus:
        if seen.state != READY:
            return DeviceStatus(seen, None, OFFLINE, "has left the machine")
        answer = self._answers.get(seen.address)
        if isinstance(answer, ProtocolMismatch):
            return DeviceStatus(seen, None, INCOMPATIBLE, str(answer))
        if isinstance(answer, L3Error):
            return DeviceStatus(seen, None, UNREACHABLE, str(answer))
        for device in answer or ():
            if device.device_id == seen.device_id:
                return DeviceStatus(seen, device, READY, "")
        what = "has not answered yet" if answer is None else "is not who answers"
        return DeviceStatus(seen, None, UNREACHABLE, f"{what} at {seen.address}")

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

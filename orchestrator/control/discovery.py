"""Who is on the machine: listens to presence on the bus and asks each address once who lives there.

A machine file may name addresses, which are asked whether or not a device announces them.

The bus says that devices came or went; the address itself says what they are (Describe). A dead broker
changes nothing: a device that was known stays known, until asking again fails.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from l3sim.errors import InvalidInput, L3Error, NotReady, ProtocolMismatch
from l3sim.orchestrator.job.slots import FilledSlot, assign_slots, fill_slots, is_wanted, natural
from l3sim.ports import BusPort, Clock
from l3sim.specs.choice import addresses
from l3sim.specs.machine import Machine
from l3sim.transport.presence import OFFLINE, READY, presence_of
from l3sim.transport.topics import device_topic, from_json
from l3sim.v1.bus_pb2 import Presence
from l3sim.work import DeviceDescription

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
    """The devices of one machine: those on the bus, and those at addresses that the machine names.

    Attributes:
        machine: which it is now; on the bus it goes by the name that it began with.

    Args:
        describe: asks an address who lives there; raises Unreachable when it does not answer in time,
            and ProtocolMismatch.
        name: of the machine on the bus; "": its own.
    """

    def __init__(
        self,
        bus: BusPort,
        machine: Machine,
        describe: Callable[[str], Awaitable[Sequence[DeviceDescription]]],
        clock: Clock,
        name: str = "",
    ) -> None:
        self._bus = bus
        self.machine = machine
        self._topic = device_topic(name or machine.name, "+")
        self._named = set(addresses(machine.devices))
        self._describe = describe
        self._clock = clock
        self._announced: dict[str, Presence] = {}
        self._answers: dict[str, Answer] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._pokes: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()

    async def listen(self) -> None:
        """Follow the bus until cancelled."""
        for address in self._named:
            self._keep(address)
        try:
            async for topic, payload in self._bus.messages(self._topic):
                self._hear(topic.rpartition("/")[2], payload)
        finally:
            for keeper in self._keepers.values():
                keeper.cancel()
            await asyncio.gather(*self._keepers.values(), return_exceptions=True)

    def devices(self) -> list[DeviceStatus]:
        """All devices that announced themselves or live at an address that is named, by device id."""
        found = [self._status(seen) for seen in self._announced.values()]
        found += [status for address in self._named for status in self._silent(address)]
        return sorted(found, key=lambda status: natural(status.announced.device_id))

    def present(self) -> list[tuple[str, DeviceDescription]]:
        """(address, description) of every device that is ready now."""
        return [
            (status.announced.address, status.description)
            for status in self.devices()
            if status.state == READY and status.description is not None
        ]

    def assigned(self) -> list[FilledSlot]:
        """Which device would fill which slot if a job started now; slots that none fills are left out."""
        return assign_slots(self.machine, self.present())

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
        fill_slots(self.machine, self.present(), left_out)

    async def complete(self) -> None:
        """Return once every slot can be filled."""
        while True:
            changed = self._changed
            try:
                return self.check()
            except NotReady:
                await changed.wait()

    async def look(self, machine: Machine) -> None:
        """Ask the addresses that another machine names who lives there, and count them until `change`.

        Raises:
            Unreachable, ProtocolMismatch: from the first that cannot be used.
        """
        for address in addresses(machine.devices):
            self._named.add(address)
            if not await self._refresh(address):
                answer = self._answers[address]
                assert isinstance(answer, L3Error)
                raise answer

    def change(self, machine: Machine) -> None:
        """From now on it is this machine; addresses that it does not name count no more."""
        self.machine = machine
        self._named = set(addresses(machine.devices))
        for address in self._named:
            self._keep(address)
        self._wake()

    async def recheck(self) -> None:
        """Ask every address again, because a job has just lost a device."""
        known = self._named | {seen.address for seen in self._announced.values() if seen.state == READY}
        for address, answered in zip(known, await asyncio.gather(*map(self._refresh, known)), strict=True):
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
        if seen.state == READY or is_wanted(self.machine, seen, seen.address):
            self._announced[device_id] = seen
        else:
            # Who leaves and was of no use to this machine is not missed, as those that a swap has replaced.
            self._announced.pop(device_id, None)
        if seen.state == READY:
            if before is None or before.state != READY or before.address != seen.address:
                # Another device lives there: what the address said before no longer counts.
                self._answers.pop(seen.address, None)
            self._keep(seen.address)
        self._wake()

    def _keep(self, address: str) -> None:
        """See to it that an address is asked, soon and from now on."""
        self._pokes.setdefault(address, asyncio.Event()).set()
        if address not in self._keepers:
            self._keepers[address] = asyncio.create_task(self._ask(address), name=f"describe {address}")

    async def _ask(self, address: str) -> None:
        """Ask until there is an answer or no device announces this address any more."""
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
        if address in self._named:
            return True
        return any(seen.address == address and seen.state == READY for seen in self._announced.values())

    def _silent(self, address: str) -> list[DeviceStatus]:
        """Who lives at a named address and has not announced themselves from there."""
        answer = self._answers.get(address)
        if answer is None or isinstance(answer, L3Error):
            state = INCOMPATIBLE if isinstance(answer, ProtocolMismatch) else UNREACHABLE
            seen = Presence(device_id=address, address=address, state=state)
            return [DeviceStatus(seen, None, state, str(answer or f"has not answered yet at {address}"))]
        heard = {seen.device_id for seen in self._announced.values() if seen.address == address}
        return [
            DeviceStatus(presence_of(device, address, READY, 0), device, READY, "")
            for device in answer
            if device.device_id not in heard
        ]

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

"""A device without physics, for tests of everything around devices."""

from collections.abc import Sequence

import numpy as np

from l3sim.device import BookkeepingSession, Identity, Ledger
from l3sim.errors import InvalidInput, NotFound
from l3sim.ports import Device, DeviceSession
from l3sim.registry import unknown
from l3sim.work import (
    DeviceDescription,
    DeviceReady,
    Hello,
    MemoryRegion,
    Op,
    OpCost,
    Window,
)

#: One layer of a decoding token costs so much on every lane.
TOKEN_PS = 1000
TOKEN_NJ = 3


class FakeDevice(Device):
    """Attention devices of two ranks whose costs are tokens * TOKEN_PS * slowness.

    Configuration: `slowness`, a whole number from 1 on; from Hello, overrides above it.
    """

    def __init__(self, identities: Sequence[Identity] = (Identity("fake-0"),)) -> None:
        self.identities = {identity.device_id: identity for identity in identities}
        #: Sessions that were opened.
        self.opened = 0

    def describe(self) -> Sequence[DeviceDescription]:
        """See Device.describe."""
        return [
            DeviceDescription(
                device_id=identity.device_id,
                role="attention",
                kind="fake",
                version="1",
                operations=(Op.ATTEND_DECODE,),
                domains=("rank-0", "rank-1"),
                regions=(MemoryRegion("rank-0", 2**30, 64), MemoryRegion("rank-1", 2**30, 64)),
                lookahead_rounds=0,
                levels=("fake",),
                config_schema_json="{}",
                requested_slot=identity.requested_slot,
            )
            for identity in self.identities.values()
        ]

    def open(self, hello: Hello) -> DeviceSession:
        """See Device.open."""
        slowness = []
        for slot in hello.slots:
            if slot.device_id not in self.identities:
                raise NotFound(unknown("device", slot.device_id, list(self.identities)))
            config = {"slowness": 1} | slot.config | dict(self.identities[slot.device_id].overrides)
            for key in config:
                if key != "slowness":
                    raise InvalidInput((f"{slot.slot}.{key}", unknown("key", key, ["slowness"])))
            slowness.append(int(config["slowness"]))
        self.opened += 1
        return FakeSession(hello, slowness)


class FakeSession(BookkeepingSession):
    """See FakeDevice."""

    def __init__(self, hello: Hello, slowness: Sequence[int]) -> None:
        super().__init__(hello)
        self._slowness = slowness

    def ready(self) -> Sequence[DeviceReady]:
        """See DeviceSession.ready."""
        regions = (MemoryRegion("rank-0", 2**30, 64), MemoryRegion("rank-1", 2**30, 64))
        return [
            DeviceReady(slot.slot, "fake", 0, ("rank-0", "rank-1"), regions, {"slowness": slowness}, 5000)
            for slot, slowness in zip(self.hello.slots, self._slowness, strict=True)
        ]

    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:  # noqa: ARG002
        """See BookkeepingSession.costs."""
        classes, rounds = self.hello.layout.ranksets, window.rounds
        lanes = np.repeat(np.arange(len(self._slowness)), 2)
        slow = np.repeat(np.array(self._slowness, dtype=np.int64), 2)
        answers = []
        for batch in window.sub_batches:
            tokens = batch.context[:, None] + np.arange(1, rounds + 1)
            per_round = tokens.sum(axis=0, dtype=np.int64)
            duration = np.empty((len(lanes), classes, rounds), dtype=np.int64)
            duration[:] = slow[:, None, None] * per_round * TOKEN_PS
            energy = np.empty((classes, rounds), dtype=np.int64)
            energy[:] = len(lanes) * per_round * TOKEN_NJ
            domain = [0, 1] * len(self._slowness)
            answers.append(OpCost(Op.ATTEND_DECODE, batch.index, lanes.tolist(), domain, duration, energy))
        return tuple(answers)

"""Sessions of attention modules that attend whole heads on their own: one rank each, one rankset.

A device says what one head costs over its tokens; here heads become the time of a module: those of a layer
run one after the other, and each module's cost is the sum of its own.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from l3sim.device.configured import ConfiguredDevice
from l3sim.device.ledger import Ledger
from l3sim.device.session import BookkeepingSession
from l3sim.device.sums import RankSums, check_sum, decoding
from l3sim.errors import InvalidInput
from l3sim.placement import kv_room_bytes
from l3sim.ports import DeviceSession
from l3sim.specs.modules import ModuleConfig
from l3sim.units import Floats, Int64s, nj, ps
from l3sim.work import DeviceReady, Hello, MemoryRegion, Op, OpCost, Role, Window

#: Seconds of one head over counts of tokens, the new one included; any shape.
HeadCost = Callable[[Int64s], Floats]
ModuleT = TypeVar("ModuleT", bound=ModuleConfig)

_REGION = "kv"


class ModuleDevice(ConfiguredDevice[ModuleT]):
    """Modules of one kind in this process."""

    role = Role.ATTENTION
    operations = (Op.ATTEND_DECODE,)
    domains = (_REGION,)
    shared_keys = frozenset({"kind", "modules", "n_cmr"})

    @abstractmethod
    def head_cost(self, config: ModuleT, hello: Hello) -> HeadCost:
        """What one head of the job costs on a module so configured.

        Raises:
            InvalidInput: the model does not fit it; the field is a key of its section.
        """

    def open(self, hello: Hello) -> DeviceSession:
        """See Device.open."""
        configs = self.settle(hello)
        for slot in hello.slots:
            if len(slot.seats) != 1:
                text = f"is one module but got {len(slot.seats)} seats; give it one"
                raise InvalidInput((slot.slot, text))
            if slot.seats[0].rankset or hello.layout.ranksets != 1:
                raise InvalidInput((slot.slot, f"knows one rankset only; the layout is {hello.layout}"))
        costs: dict[ModuleT, HeadCost] = {}
        for slot, config in zip(hello.slots, configs, strict=True):
            if config in costs:
                continue
            try:
                costs[config] = self.head_cost(config, hello)
                ps(costs[config](np.ones(1, dtype=np.int64)))
            except InvalidInput as error:
                renamed = [(f"{slot.slot}.{key}", text) for key, text in error.violations]
                raise InvalidInput(*renamed) from None
            except ValueError as error:
                raise InvalidInput((slot.slot, f"{error}; check the rates of its configuration")) from None
        return ModuleSession(hello, configs, [costs[config] for config in configs])


class ModuleSession(BookkeepingSession):
    """One job on this process's modules.

    Args:
        configs, costs: of each slot of `hello`.
    """

    def __init__(self, hello: Hello, configs: Sequence[ModuleConfig], costs: Sequence[HeadCost]) -> None:
        self._configs = configs
        self._rooms = [kv_room_bytes(config, hello.layout, hello.model) for config in configs]
        super().__init__(hello, np.array(self._rooms, dtype=np.int64))
        self._costs = costs
        #: By replica: (cost and power of the modules that share them, their slots, their sums).
        self._kinds = [self._kinds_of(replica) for replica in range(hello.layout.dp)]

    def _kinds_of(self, replica: int) -> list[tuple[HeadCost, float, list[int], RankSums]]:
        slots: dict[ModuleConfig, list[int]] = {}
        for number, slot in enumerate(self.hello.slots):
            if slot.seats[0].replica == replica:
                slots.setdefault(self._configs[number], []).append(number)
        ranks = [slot.seats[0].rank for slot in self.hello.slots]
        return [
            (
                self._costs[here[0]],
                config.module_active_w,
                here,
                RankSums(self.hello.layout, [ranks[number] for number in here]),
            )
            for config, here in slots.items()
        ]

    def ready(self) -> Sequence[DeviceReady]:
        """See DeviceSession.ready."""
        granule = self.hello.layout.block_bytes(self.hello.model)
        return [
            DeviceReady(
                slot=slot.slot,
                level=config.level,
                lookahead_rounds=0,
                domains=(_REGION,),
                regions=(MemoryRegion(_REGION, room, granule),),
                config=msgspec.to_builtins(config),
                idle_mw=round(config.module_idle_w * 1000),
            )
            for slot, config, room in zip(self.hello.slots, self._configs, self._rooms, strict=True)
        ]

    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
        """See BookkeepingSession.costs."""
        layout, kinds = self.hello.layout, self._kinds[window.replica]
        found = []
        for batch in window.sub_batches if kinds else ():
            if not len(batch.decode):
                continue
            requests = decoding(
                ledger.rank[batch.decode], layout.ranks, batch.context, self.valid_rounds(window)
            )
            devices: list[int] = []
            times, energies = [], []
            for cost, active_w, slots, sums in kinds:
                heads = ps(cost(requests.tokens))
                check_sum(int(heads.max()), len(heads), layout)
                time = sums.add(heads, requests.bounds)[0, 0]  # (modules, rounds)
                devices += slots
                times.append(time)
                energies.append(nj(active_w, time).sum(axis=0))
            found.append(
                OpCost(
                    Op.ATTEND_DECODE,
                    batch.index,
                    tuple(devices),
                    (0,) * len(devices),
                    np.concatenate(times)[:, None, :],
                    np.sum(energies, axis=0)[None, :],
                )
            )
        return tuple(found)

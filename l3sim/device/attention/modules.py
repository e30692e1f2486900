"""Sessions of attention modules that attend whole heads on their own: one rank each, one rankset.

A device says what one head costs over its tokens, or has a model of whole calls; here heads become the time
of a module: those of a layer run one after the other.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from l3sim.device.attention.ideal import ideal_model
from l3sim.device.attention.levels import HeadCost, HeadModel, LevelModel
from l3sim.device.attention.rank_sums import Decoding, RankSums, gathered
from l3sim.device.configured import ConfiguredDevice
from l3sim.device.ledger import Ledger
from l3sim.device.session import BookkeepingSession
from l3sim.errors import InvalidInput
from l3sim.placement import kv_room_bytes
from l3sim.ports import DeviceSession
from l3sim.specs.modules import ModuleConfig
from l3sim.units import Int64s, ps
from l3sim.work import DeviceReady, Hello, MemoryRegion, Op, OpCost, Role, Window

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
        """What one head of the job costs on a module so configured, at level `roofline`.

        Raises:
            InvalidInput: the model does not fit it; the field is a key of its section.
        """

    def level_model(self, config: ModuleT, hello: Hello) -> LevelModel[Any]:
        """What calls cost at the level of a module; a device with more levels than `roofline` overrides it.

        Raises:
            InvalidInput: the model does not fit it; the field is a key of its section.
            ValueError: a rate makes costs beyond measure.
        """
        if config.level == "ideal":
            return ideal_model(config, hello.model, hello.layout, config.module_active_w)
        cost = self.head_cost(config, hello)
        ps(cost(np.ones(1, dtype=np.int64)))
        return HeadModel(cost, config.module_active_w, hello.layout)

    def session(
        self, hello: Hello, configs: Sequence[ModuleT], models: Sequence[LevelModel[Any]]
    ) -> "ModuleSession":
        """The session of a job that was found in order."""
        return ModuleSession(hello, configs, models)

    def open(self, hello: Hello) -> DeviceSession:
        """See Device.open."""
        configs = self.settle(hello)
        for slot in hello.slots:
            if len(slot.assignments) != 1:
                text = f"is one module but got {len(slot.assignments)} assignments; give it one"
                raise InvalidInput((slot.slot, text))
            if slot.assignments[0].rankset or hello.layout.ranksets != 1:
                raise InvalidInput((slot.slot, f"knows one rankset only; the layout is {hello.layout}"))
        models: dict[ModuleT, LevelModel[Any]] = {}
        for slot, config in zip(hello.slots, configs, strict=True):
            if config in models:
                continue
            try:
                models[config] = self.level_model(config, hello)
            except InvalidInput as error:
                renamed = [(f"{slot.slot}.{key}", text) for key, text in error.violations]
                raise InvalidInput(*renamed) from None
            except ValueError as error:
                raise InvalidInput((slot.slot, f"{error}; check the rates of its configuration")) from None
        return self.session(hello, configs, [models[config] for config in configs])


@dataclass(frozen=True)
class Kind:
    """Modules of one replica that cost the same; `slots` has their numbers."""

    model: LevelModel[Any]
    slots: Sequence[int]
    sums: RankSums


class ModuleSession(BookkeepingSession):
    """One job on this process's modules.

    Args:
        configs, models: of each slot of `hello`.
    """

    def __init__(
        self, hello: Hello, configs: Sequence[ModuleConfig], models: Sequence[LevelModel[Any]]
    ) -> None:
        self._configs = configs
        self._rooms = [kv_room_bytes(config, hello.layout, hello.model) for config in configs]
        super().__init__(hello, np.array(self._rooms, dtype=np.int64))
        self._models = models
        self._kinds = [self._kinds_of(replica) for replica in range(hello.layout.dp)]

    def _kinds_of(self, replica: int) -> list[Kind]:
        slots: dict[LevelModel[Any], list[int]] = {}
        for number, slot in enumerate(self.hello.slots):
            if slot.assignments[0].replica == replica:
                slots.setdefault(self._models[number], []).append(number)
        ranks = [slot.assignments[0].rank for slot in self.hello.slots]
        return [
            Kind(model, here, RankSums(self.hello.layout, [ranks[number] for number in here]))
            for model, here in slots.items()
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
                config=config.values(),
                idle_mw=round(config.module_idle_w * 1000),
            )
            for slot, config, room in zip(self.hello.slots, self._configs, self._rooms, strict=True)
        ]

    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
        """See BookkeepingSession.costs. Both sub-batches are costed at once."""
        kinds = self._kinds[window.replica]
        batches = [batch for batch in window.sub_batches if len(batch.decode)]
        if not kinds or not batches:
            return ()
        requests = gathered(batches, ledger, self.hello.layout, self.valid_rounds(window))
        costs = [kind.model.cost(kind.model.look_up(requests), requests, kind.sums) for kind in kinds]
        if ledger is self.ledger:
            self.costed(window, requests, kinds, [time for time, _ in costs])
        devices = tuple(slot for kind in kinds for slot in kind.slots)
        # Of shape (sub-batches, 1 rankset, modules, rounds).
        times, energies = (np.concatenate(parts, axis=2)[:, 0] for parts in zip(*costs, strict=True))
        return tuple(
            OpCost(
                Op.ATTEND_DECODE, batch.index, devices, (0,) * len(devices), time[:, None, :],
                energy.sum(axis=0)[None, :],
            )
            for batch, time, energy in zip(batches, times, energies, strict=True)
        )  # fmt: skip

    def costed(
        self, window: Window, requests: Decoding, kinds: Sequence[Kind], times: Sequence[Int64s]
    ) -> None:
        """Told of every window that was costed for the job itself, with what each kind's model said."""

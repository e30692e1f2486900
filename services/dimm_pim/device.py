"""DIMM-PIM modules as devices: one module = one DIMM; a process may host many, costed together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from l3sim.device import BookkeepingSession, ConfiguredDevice, Ledger
from l3sim.device.attention.levels import LevelModel
from l3sim.device.attention.rank_sums import Decoding, RankSums, gathered
from l3sim.errors import InvalidInput
from l3sim.functional import FunctionalAnswer, FunctionalRequest
from l3sim.ports import DeviceSession
from l3sim.rank_map import RankMap
from l3sim.services.dimm_pim.model import level_model
from l3sim.services.dram.fast.fidelity import FidelityCheck
from l3sim.services.dram.fast.model import FastModel
from l3sim.services.dram.fast.table_cache import table_of
from l3sim.specs.config import DimmPimConfig
from l3sim.units import Int64s
from l3sim.work import BLOCK, Account, Costs, DeviceReady, Hello, MemoryRegion, Op, OpCost, Role, Window

if TYPE_CHECKING:
    from l3sim.services.dimm_pim.functional.session_memory import SessionMemory


class DimmPimDevice(ConfiguredDevice[DimmPimConfig]):
    """Modules of this process."""

    role = Role.ATTENTION
    kind = "dimm-pim"
    operations = (Op.ATTEND_DECODE,)
    domains = ("rank-0", "rank-1")
    struct = DimmPimConfig
    levels = ("fast", "command", "roofline", "ideal")
    partitions = (BLOCK,)
    shared_keys = frozenset(
        {
            "kind",
            "modules",
            "modules_per_channel",
            "ranks_per_module",
            "chips_per_rank",
            "capacity_bytes",
            "ranksets",
            "kv_block_tokens",
            "partition",
            "stripe_tokens",
            "n_hc",
            "n_cmr",
        }
    )

    def open(self, hello: Hello) -> DeviceSession:
        """See Device.open."""
        configs = self.settle(hello)
        for slot, config in zip(hello.slots, configs, strict=True):
            if len(slot.assignments) != config.ranks_per_module:
                text = f"has {config.ranks_per_module} ranks but got {len(slot.assignments)} assignments"
                raise InvalidInput((slot.slot, f"{text}; give one assignment to each rank"))
            if len({assignment.replica for assignment in slot.assignments}) != 1:
                raise InvalidInput((slot.slot, "its ranks are of several replicas; a channel has one"))
            layout = hello.layout
            for assignment in slot.assignments:
                inside = assignment.replica < layout.dp and assignment.rank < layout.ranks
                if not inside or (not assignment.unused and assignment.rankset >= layout.ranksets):
                    raise InvalidInput(
                        (slot.slot, f"assignment {assignment} lies outside the layout {layout}")
                    )
        return DimmPimSession(hello, configs)


@dataclass(frozen=True)
class _Kind:
    """Ranks of one replica that cost the same."""

    model: LevelModel[Any]
    sums: RankSums


@dataclass(frozen=True)
class _Replica:
    """The rank lanes of one replica: each is a rank, (device, domain).

    Attributes:
        index: row of each (rank lane, layer class) in the sums of all kinds, stacked as (offset, rank).
    """

    device: tuple[int, ...]
    domain: tuple[int, ...]
    kinds: tuple[_Kind, ...]
    index: Int64s


class DimmPimSession(BookkeepingSession):
    """One job on this process's modules."""

    def __init__(self, hello: Hello, configs: Sequence[DimmPimConfig]) -> None:
        self._configs = configs
        self._rooms = [config.kv_room_bytes(hello.layout, hello.model) for config in configs]
        assignments = [len(slot.assignments) for slot in hello.slots]
        super().__init__(hello, np.repeat(np.array(self._rooms, dtype=np.int64), assignments))
        models: dict[DimmPimConfig, LevelModel[Any]] = {}
        self._models = []
        for slot, config in zip(hello.slots, configs, strict=True):
            if config not in models:
                models[config] = _level_model(config, hello, slot.slot)
            self._models.append(models[config])
        self._replicas = [self._lanes(replica) for replica in range(hello.layout.dp)]
        share = max(config.check_fidelity for config in configs)
        self._check = FidelityCheck(share, hello.seed) if share > 0 else None
        self._memory: SessionMemory | None = None

    def ready(self) -> Sequence[DeviceReady]:
        """See DeviceSession.ready."""
        granule = self.hello.layout.block_bytes(self.hello.model)
        answers = []
        for slot, config, room in zip(self.hello.slots, self._configs, self._rooms, strict=True):
            names = tuple(f"rank-{i}" for i in range(len(slot.assignments)))
            regions = tuple(
                MemoryRegion(name, 0 if assignment.unused else room, granule)
                for name, assignment in zip(names, slot.assignments, strict=True)
            )
            answers.append(
                DeviceReady(
                    slot=slot.slot,
                    level=config.level,
                    lookahead_rounds=0,
                    domains=names,
                    regions=regions,
                    config=config.values(),
                    idle_mw=round(config.module_idle_w * 1000),
                )
            )
        return answers

    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
        """See BookkeepingSession.costs. Both sub-batches are costed at once."""
        replica = self._replicas[window.replica]
        batches = [batch for batch in window.sub_batches if len(batch.decode)]
        if replica is None or not batches:
            return ()
        requests = gathered(batches, ledger, self.hello.layout, self.valid_rounds(window))
        times, energies = [], []
        looked_up: dict[LevelModel[Any], object] = {}
        for kind in replica.kinds:
            if kind.model not in looked_up:
                looked_up[kind.model] = kind.model.look_up(requests)
            time, energy = kind.model.cost(looked_up[kind.model], requests, kind.sums)
            times.append(time.reshape(len(batches), -1, time.shape[-1]))
            energies.append(energy.reshape(len(batches), -1, time.shape[-1]))
        if self._check is not None and ledger is self.ledger and self._check.wants(window.window_id):
            self._compare(self._check, replica, requests, times)
        time = times[0] if len(times) == 1 else np.concatenate(times, axis=1)
        energy = energies[0] if len(energies) == 1 else np.concatenate(energies, axis=1)
        duration_ps = time.take(replica.index, axis=1)
        energy_nj = energy.take(replica.index, axis=1).sum(axis=1)
        return tuple(
            OpCost(Op.ATTEND_DECODE, batch.index, replica.device, replica.domain, *lanes)
            for batch, *lanes in zip(batches, duration_ps, energy_nj, strict=True)
        )

    def audit(self) -> Sequence[Account]:
        """See DeviceSession.audit. The first account says what was checked, for all devices here."""
        first, *rest = super().audit()
        return [first if self._check is None else replace(first, fidelity=self._check.found), *rest]

    def _compare(
        self, check: FidelityCheck, replica: _Replica, requests: Decoding, times: Sequence[Int64s]
    ) -> None:
        """Check a window on those ranks that run at level `fast`."""
        fast = [
            (kind.model, kind.sums, time.reshape(*kind.sums.shape(requests.bounds), -1))
            for kind, time in zip(replica.kinds, times, strict=True)
            if isinstance(kind.model, FastModel)
        ]
        if fast:
            check.compare(requests, *zip(*fast, strict=True))

    def window(self, window: Window) -> Costs:
        """See DeviceSession.window; bytes of released requests are forgotten."""
        costs = super().window(window)
        if self._memory is not None:
            for request in window.releases:
                self._memory.release(request)
        return costs

    def functional(self, work: FunctionalRequest) -> FunctionalAnswer:
        """See DeviceSession.functional: at level `command` only, whose command streams it executes."""
        if self._memory is None:
            # Only here: it loads the compiler, which devices that compute nothing do without.
            from l3sim.services.dimm_pim.functional.session_memory import SessionMemory

            self._memory = SessionMemory(self.hello, self._configs, self.ledger)
        return self._memory.answer(work)

    def _lanes(self, replica: int) -> _Replica | None:
        """Lay out the used ranks of one replica; None when there are none here."""
        layout = self.hello.layout
        device, domain, places = [], [], []
        ranks: dict[LevelModel[Any], list[int]] = {}
        for used in RankMap.of(self.hello, replica).used:
            kind, rank = self._models[used.device], used.assignment.rank
            of_kind = ranks.setdefault(kind, [])
            if rank not in of_kind:
                of_kind.append(rank)
            device.append(used.device)
            domain.append(used.domain)
            places.append((kind, used.assignment.rankset, rank))
        if not device:
            return None
        first, rows = {}, 0
        for kind, of_kind in ranks.items():
            first[kind] = rows
            rows += layout.ranksets * len(of_kind)
        index = [
            [
                first[kind] + (rankset - layer) % layout.ranksets * len(ranks[kind]) + ranks[kind].index(rank)
                for layer in range(layout.ranksets)
            ]
            for kind, rankset, rank in places
        ]
        kinds = tuple(_Kind(kind, RankSums(layout, of_kind)) for kind, of_kind in ranks.items())
        return _Replica(tuple(device), tuple(domain), kinds, np.array(index, dtype=np.int64))


def _level_model(config: DimmPimConfig, hello: Hello, slot: str) -> LevelModel[Any]:
    """The model of one module; what is refused is named by its slot."""
    try:
        return level_model(config, hello.model, hello.layout, table_of)
    except InvalidInput as error:
        raise InvalidInput(*((f"{slot}.{key}", text) for key, text in error.violations)) from None
    except ValueError as error:
        raise InvalidInput((slot, f"{error}; check the rates of its configuration")) from None

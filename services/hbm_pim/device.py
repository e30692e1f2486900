"""HBM stacks that compute as devices: role attention, kind `hbm-pim`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from l3sim.device.attention.ideal import ideal_model
from l3sim.device.attention.levels import LevelModel
from l3sim.device.attention.modules import Kind, ModuleDevice, ModuleSession
from l3sim.device.attention.rank_sums import Decoding, RankSums, decoding
from l3sim.device.ledger import Ledger
from l3sim.services.dram.fast.fidelity import FidelityCheck
from l3sim.services.dram.fast.table_cache import table_of
from l3sim.services.hbm_pim.model import FastStack, stack_model
from l3sim.services.hbm_pim.roofline import Head
from l3sim.services.hbm_pim.spread import SpreadLedger, spread_layout
from l3sim.specs.config import HbmPimConfig
from l3sim.units import Int64s
from l3sim.work import Account, Hello, SubBatch, Window


class HbmPimDevice(ModuleDevice[HbmPimConfig]):
    """Modules of this process."""

    kind = "hbm-pim"
    struct = HbmPimConfig
    levels = ("fast", "command", "roofline", "ideal")
    #: Who lies on which channel is the same arithmetic on all stacks.
    shared_keys = ModuleDevice.shared_keys | {"mapping", "pseudo_channels", "head_pseudo_channels"}

    def level_model(self, config: HbmPimConfig, hello: Hello) -> LevelModel[Any]:
        """See ModuleDevice.level_model."""
        layout = spread_layout(hello.layout, config.heads_at_once)
        if config.level == "ideal":
            # Energy is that of the bits which are read, at the rate at which they are.
            head = Head.of(config, hello.model, layout)
            active_w = head.token_pj / hello.model.head_kv_bytes * config.module_bytes_per_s / 1e12
            return ideal_model(config, hello.model, hello.layout, active_w)
        return stack_model(config, hello.model, layout, table_of)

    def session(
        self, hello: Hello, configs: Sequence[HbmPimConfig], models: Sequence[LevelModel[Any]]
    ) -> "HbmPimSession":
        """See ModuleDevice.session."""
        return HbmPimSession(hello, configs, models)


class HbmPimSession(ModuleSession):
    """One job on this process's stacks; windows are checked as those of the DIMM modules are."""

    def __init__(
        self, hello: Hello, configs: Sequence[HbmPimConfig], models: Sequence[LevelModel[Any]]
    ) -> None:
        self._channels = configs[0].heads_at_once
        self._layout = spread_layout(hello.layout, self._channels)
        super().__init__(hello, configs, models)
        share = max(config.check_fidelity for config in configs)
        self._check = FidelityCheck(share, hello.seed) if share > 0 else None

    def new_ledger(self) -> Ledger:
        """See BookkeepingSession.new_ledger."""
        return SpreadLedger(self.hello.layout, self._channels)

    def rank_sums(self, ranks: Sequence[int]) -> RankSums:
        """See ModuleSession.rank_sums: the channels of each stack, one after the other."""
        stacks = self.hello.layout.ranks
        places = [rank + stacks * channel for rank in ranks for channel in range(self._channels)]
        return RankSums(self._layout, places)

    def gathered(self, batches: Sequence[SubBatch], ledger: Ledger, rounds: int) -> Decoding:
        """See ModuleSession.gathered: by the channel where a request's heads begin."""
        if not isinstance(ledger, SpreadLedger):
            raise TypeError(f"{type(ledger).__name__} knows no channels")
        requests = np.concatenate([batch.decode for batch in batches])
        context = np.concatenate([batch.context for batch in batches])
        keys = ledger.rank[requests] + self.hello.layout.ranks * ledger.channel[requests]
        keys[len(batches[0].decode) :] += self._layout.ranks
        return decoding(keys, self._layout.ranks * len(batches), context, rounds)

    def of_modules(self, time: Int64s, energy: Int64s) -> tuple[Int64s, Int64s]:
        """See ModuleSession.of_modules: a stack is as slow as its busiest channel."""
        shape = (*time.shape[:2], -1, self._channels, time.shape[3])
        return time.reshape(shape).max(axis=3), energy.reshape(shape).sum(axis=3)

    def costed(
        self, window: Window, requests: Decoding, kinds: Sequence[Kind], times: Sequence[Int64s]
    ) -> None:
        """See ModuleSession.costed."""
        if self._check is None or not self._check.wants(window.window_id):
            return
        fast = [
            (kind.model, kind.sums, time)
            for kind, time in zip(kinds, times, strict=True)
            if isinstance(kind.model, FastStack)
        ]
        if fast:
            self._check.compare(requests, *zip(*fast, strict=True))

    def audit(self) -> Sequence[Account]:
        """See DeviceSession.audit. What was checked stands in the first account, for all devices here."""
        first, *rest = super().audit()
        return [first if self._check is None else replace(first, fidelity=self._check.found), *rest]

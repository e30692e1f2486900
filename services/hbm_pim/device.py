"""HBM stacks that compute as devices: role attention, kind `hbm-pim`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from l3sim.device.attention.levels import HeadCost, LevelModel
from l3sim.device.attention.modules import Kind, ModuleDevice, ModuleSession
from l3sim.device.attention.rank_sums import Decoding
from l3sim.services.dram.fast.fidelity import FidelityCheck
from l3sim.services.dram.fast.table_cache import table_of
from l3sim.services.hbm_pim.model import FastStack, stack_model
from l3sim.services.hbm_pim.roofline import Head
from l3sim.specs.config import HbmPimConfig
from l3sim.units import Int64s
from l3sim.work import Account, Hello, Window


class HbmPimDevice(ModuleDevice[HbmPimConfig]):
    """Modules of this process."""

    kind = "hbm-pim"
    struct = HbmPimConfig
    levels = ("fast", "command", "roofline", "ideal")

    def head_cost(self, config: HbmPimConfig, hello: Hello) -> HeadCost:
        """See ModuleDevice.head_cost."""
        return Head.of(config, hello.model, hello.layout).cost_s

    def level_model(self, config: HbmPimConfig, hello: Hello) -> LevelModel[Any]:
        """See ModuleDevice.level_model."""
        if config.level in ("roofline", "ideal"):
            return super().level_model(config, hello)
        return stack_model(config, hello.model, hello.layout, table_of)

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
        super().__init__(hello, configs, models)
        share = max(config.check_fidelity for config in configs)
        self._check = FidelityCheck(share, hello.seed) if share > 0 else None

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

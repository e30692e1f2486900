"""The host's memory channels and cores as devices: role attention, kind `cpu-attention`."""

from typing import Any

import numpy as np

from l3sim.device.attention.ideal import ideal_model
from l3sim.device.attention.levels import HeadModel, LevelModel
from l3sim.device.attention.modules import ModuleDevice
from l3sim.services.cpu_attention.model import Head
from l3sim.specs.config import CpuAttentionConfig
from l3sim.units import ps
from l3sim.work import Hello


class CpuAttentionDevice(ModuleDevice[CpuAttentionConfig]):
    """Modules of this process."""

    kind = "cpu-attention"
    struct = CpuAttentionConfig
    levels = ("roofline", "ideal")

    def level_model(self, config: CpuAttentionConfig, hello: Hello) -> LevelModel[Any]:
        """See ModuleDevice.level_model."""
        if config.level == "ideal":
            return ideal_model(config, hello.model, hello.layout, config.module_active_w)
        cost = Head.of(config, hello.model, hello.layout).cost_s
        ps(cost(np.ones(1, dtype=np.int64)))
        return HeadModel(cost, config.module_active_w, hello.layout)

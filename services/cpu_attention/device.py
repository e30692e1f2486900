"""The host's memory channels and cores as devices: role attention, kind `cpu-attention`."""

from l3sim.device.attention.levels import HeadCost
from l3sim.device.attention.modules import ModuleDevice
from l3sim.services.cpu_attention.model import Head
from l3sim.specs.config import CpuAttentionConfig
from l3sim.work import Hello


class CpuAttentionDevice(ModuleDevice[CpuAttentionConfig]):
    """Modules of this process."""

    kind = "cpu-attention"
    struct = CpuAttentionConfig
    levels = ("roofline", "ideal")

    def head_cost(self, config: CpuAttentionConfig, hello: Hello) -> HeadCost:
        """See ModuleDevice.head_cost."""
        return Head.of(config, hello.model, hello.layout).cost_s

"""HBM stacks that compute as devices: role attention, kind `hbm-pim`."""

from l3sim.device.modules import HeadCost, ModuleDevice
from l3sim.specs.config import HbmPimConfig
from l3sim.work import Hello
from services.hbm_pim.model import Head


class HbmPimDevice(ModuleDevice[HbmPimConfig]):
    """Modules of this process."""

    kind = "hbm-pim"
    struct = HbmPimConfig

    def head_cost(self, config: HbmPimConfig, hello: Hello) -> HeadCost:
        """See ModuleDevice.head_cost."""
        return Head.of(config, hello.model, hello.layout).cost_s

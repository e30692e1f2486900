"""Attend calls of one HBM stack: those of its busiest pseudo channel."""

from collections.abc import Mapping

import numpy as np

from l3sim.launch.probe.calls import Call, Caller, summed_us
from l3sim.placement import Layout
from l3sim.services.dram.command.columns import each_cycle
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.hbm_pim.channel import kernel_of
from l3sim.services.hbm_pim.roofline import Head
from l3sim.specs.config import HbmPimConfig
from l3sim.specs.model import ModelShape
from l3sim.units import Floats, Int64s, nj, ps


class StackCaller(Caller):
    """Calls of one stack; its energy has one part, power x time.

    Raises:
        InvalidInput: the model does not fit the units or buffers; the field is a key of the section.
    """

    def __init__(self, hbm: HbmPimConfig, model: ModelShape, layout: Layout) -> None:
        super().__init__(hbm.level, None if hbm.level == "roofline" else kernel_of(hbm, model, layout))
        self._hbm = hbm
        self._head = Head.of(hbm, model, layout)

    def share(self, tokens: int) -> int:
        """See Caller."""
        return -(-tokens // self._hbm.pseudo_channels)

    def weights(self, kernel: Kernel) -> Mapping[str, Floats]:
        """See Caller."""
        return {"active": each_cycle(self._hbm.module_active_w * kernel.pim.tck_ps)}

    def roofline(self, tokens: Int64s, groups: Int64s) -> Call:
        """See Caller."""
        head = self._head
        time_ps = int(groups @ ps(head.cost_s(tokens)))
        compute, softmax = head.compute_s(tokens), head.softmax_s(tokens)
        rows = head.rows(tokens)
        seconds = {
            "score": compute,
            "context": compute,
            "softmax": np.maximum(softmax - compute, 0.0),
            "query": head.ends_s / 2,
            "collect": head.ends_s / 2,
            "row": rows * head.row_s,
        }
        return Call(
            time_us=time_ps / 1e6,
            parts_us=summed_us(seconds, groups),
            energy_j=float(nj(self._hbm.module_active_w, np.array([time_ps]))[0]) / 1e9,
            row_activations=int(groups @ rows) * head.units,
        )

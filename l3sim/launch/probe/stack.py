"""Attend calls of one channel of an HBM stack: those of its busiest pseudo channel."""

from collections.abc import Mapping

import numpy as np

from l3sim.launch.probe.calls import Call, Caller, summed_us
from l3sim.launch.probe.spread import places_of
from l3sim.placement import Layout, kv_room_bytes
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.hbm_pim.channel import kernel_of
from l3sim.services.hbm_pim.energy import weights
from l3sim.services.hbm_pim.roofline import Head
from l3sim.services.hbm_pim.spread import Spread
from l3sim.specs.config import HbmPimConfig
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.units import Floats, Int64s, ps


def channel_loads(machine: Machine, model: ModelShape, layout: Layout, requests: int, tokens: int) -> Int64s:
    """Heads of one layer on each channel, when equal requests come one by one to an empty machine.

    Returns: shape (replicas, channels of a stack, stacks of a replica).
    """
    room = kv_room_bytes(machine.attention, layout, model)
    places = places_of(layout, model, room, -(-requests // layout.dp), tokens)
    spreads = [Spread(layout, machine.attention.heads_at_once) for _ in range(layout.dp)]
    for replica, of in enumerate(spreads):
        for _, first in places[: len(range(replica, requests, layout.dp))]:
            of.place(first)
    return np.stack([of.heads for of in spreads])


class StackCaller(Caller):
    """Calls of one channel.

    Raises:
        InvalidInput: the model does not fit the units or buffers; the field is a key of the section.
    """

    def __init__(self, hbm: HbmPimConfig, model: ModelShape, layout: Layout) -> None:
        super().__init__(hbm.level, None if hbm.level == "roofline" else kernel_of(hbm, model, layout))
        self._hbm = hbm
        self._head = Head.of(hbm, model, layout)

    def share(self, tokens: int) -> int:
        """See Caller."""
        return -(-tokens * self._hbm.heads_at_once // self._hbm.pseudo_channels)

    def weights(self, kernel: Kernel) -> Mapping[str, Floats]:
        """See Caller."""
        return weights(self._hbm, kernel)

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
            energy_j=float(groups @ tokens) * head.token_pj / 1e12,
            row_activations=int(groups @ rows) * head.units,
        )

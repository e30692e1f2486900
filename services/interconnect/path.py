"""The way of a transfer: from GPUs over PCIe and the host to the memory channels, and back.

    GPU --link--+                 +-- channel 0 --+
    GPU --link--+-- uplink -- host +-- channel 1 --+-- one rank of each: the rankset
                                  +-- ...       --+

A transfer is cut through: all of it is on the way at once, so it takes the set-up of its DMA engines, which
begin together, and then as long as the endpoint with the largest bytes / rate. A switch's uplink is full for
as long as all GPUs behind it send; where replicas share one, each has its even share, whatever the others
do, since replicas have clocks of their own (a simplification, and the same in every run).

Re-layout by the CPU (`relayout: cpu`): what comes down lands in a buffer that lies interleaved over all of
the replica's channels, and the CPU reads it there and writes it in the modules' layout to its place; what
goes up takes the same way back. So each byte crosses channels three times, twice more than without:

    channel r:  own bytes of r  +  2 x bytes of the whole transfer / channels

and the busiest channel decides. The CPU itself keeps up (assumed), and what its buffer does to ranks that
compute is not seen. With `relayout: unit` the modules re-lay out in flight: a channel has its own bytes only.
"""

from dataclasses import dataclass

import numpy as np

from l3sim.specs.config import LinkConfig
from l3sim.specs.pcie import raw_bytes_per_s
from l3sim.units import Floats, Int64s

#: Times that the CPU moves each byte over the channels: a read and a write.
CPU_MOVES = 2


@dataclass(frozen=True)
class Path:
    """What one replica's transfers pass; rates in bytes a second each way, efficiencies included.

    Attributes:
        gpus: of one uplink, of this replica.
        channels: of the replica.
        uplink_bytes_per_s: this replica's share of one uplink.
        cpu_moves: times that the CPU moves each byte over the channels.
    """

    setup_s: float
    gpus: int
    channels: int
    gpu_bytes_per_s: float
    uplink_bytes_per_s: float
    channel_bytes_per_s: float
    cpu_moves: int

    def endpoints_s(
        self, gpu: Int64s, uplink: Int64s, channel: Int64s, whole: Int64s
    ) -> tuple[Floats, Floats, Floats]:
        """Seconds that the busiest GPU's link, uplink and channel are full, set-up left out.

        Args:
            gpu, uplink, channel: bytes of the busiest of each, any shape, one for all.
            whole: bytes of the whole transfer.
        """
        host = channel + self.cpu_moves * whole / self.channels
        return (
            gpu / self.gpu_bytes_per_s,
            uplink / self.uplink_bytes_per_s,
            host / self.channel_bytes_per_s,
        )

    def cost_s(self, gpu: Int64s, uplink: Int64s, channel: Int64s, whole: Int64s) -> Floats:
        """Seconds of transfers; see `endpoints_s`."""
        over_gpu, over_uplink, over_channel = self.endpoints_s(gpu, uplink, channel, whole)
        return self.setup_s + np.maximum(np.maximum(over_gpu, over_uplink), over_channel)


def path_of(link: LinkConfig, tp: int, dp: int, channels: int) -> Path:
    """The path of one of `dp` replicas of `tp` GPUs, with its channels."""
    raw = raw_bytes_per_s(link)
    uplink = link.uplink_bytes_per_s if link.uplink_bytes_per_s is not None else raw
    sharing = min(max(link.gpus_per_uplink // tp, 1), dp)
    return Path(
        setup_s=link.setup_us / 1e6,
        gpus=min(link.gpus_per_uplink, tp),
        channels=channels,
        gpu_bytes_per_s=raw * link.pcie_efficiency,
        uplink_bytes_per_s=uplink * link.pcie_efficiency / sharing,
        channel_bytes_per_s=link.channel_bytes_per_s * link.channel_efficiency,
        cpu_moves=CPU_MOVES if link.relayout == "cpu" else 0,
    )

"""Which channel of its stack each head of a request lies on (`mapping: head_per_channel`).

Channels of all stacks of a replica count in one row, channel by channel:

    channel 0                    channel 1                          h = stack + stacks * channel
    stack 0  1  2 ... n-1        stack 0  1  2 ... n-1     ...

Heads of a request lie on successive places of that row, from one on the stack that the orchestrator chose.
Of the channels of that stack it is the first where the fullest place that the request takes has fewest
heads, of all requests that are there when it comes. So heads of equal requests are dealt over all stacks,
then over their channels, as AttAcc deals them. From layer to layer a request's heads move on by a channel:
memory fills evenly, and every layer takes as long as the first.
"""

from dataclasses import replace

import numpy as np

from l3sim.device.ledger import Ledger
from l3sim.placement import Layout
from l3sim.units import Int64s
from l3sim.work import KvPlacement


def spread_layout(layout: Layout, channels: int) -> Layout:
    """A layout whose ranks are the channels of all stacks.

    Args:
        channels: of a stack that run heads on their own.
    """
    return replace(layout, ranks=layout.ranks * channels)


class Spread:
    """Heads on each place of one replica.

    Attributes:
        heads: shape (channels, stacks).
    """

    def __init__(self, layout: Layout, channels: int) -> None:
        self._groups = layout.groups
        self.heads: Int64s = np.zeros((channels, layout.ranks), dtype=np.int64)

    def place(self, stack: int) -> int:
        """Take room for a request whose first head lies on a stack; returns its first channel."""
        channels, stacks = self.heads.shape
        firsts = stack + stacks * np.arange(channels)
        # More heads than places take all of them, and go round again.
        taken = min(self._groups, self.heads.size)
        after = self.heads.ravel()[(firsts[:, None] + np.arange(taken)) % self.heads.size]
        channel = int(after.max(axis=1).argmin())
        self.add(stack, channel, 1)
        return channel

    def add(self, stack: int, channel: int, sign: int) -> None:
        """Enter (1) or drop (-1) the heads of a request."""
        stacks = self.heads.shape[1]
        places = (stack + stacks * channel + np.arange(self._groups)) % self.heads.size
        np.add.at(self.heads.reshape(-1), places, sign)


class SpreadLedger(Ledger):
    """A ledger that knows on which channel a request's heads begin.

    Attributes:
        channel: by request number, meaningless when it has no KV; shape (capacity,).
    """

    def __init__(self, layout: Layout, channels: int) -> None:
        super().__init__()
        self.channel: Int64s = np.zeros(len(self.held), dtype=np.int64)
        self._spreads = [Spread(layout, channels) for _ in range(layout.dp)]

    def place(self, placed: KvPlacement, replica: int) -> None:
        """See Ledger.place."""
        super().place(placed, replica)
        if len(self.channel) < len(self.held):
            more = np.zeros(len(self.held) - len(self.channel), dtype=np.int64)
            self.channel = np.concatenate([self.channel, more])
        self.channel[placed.request] = self._spreads[replica].place(placed.rank)

    def release(self, request: int, replica: int) -> int:
        """See Ledger.release."""
        tokens = super().release(request, replica)
        self._spreads[replica].add(int(self.rank[request]), int(self.channel[request]), -1)
        return tokens

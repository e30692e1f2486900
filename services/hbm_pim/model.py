"""What attend calls cost on an HBM stack with units, at three levels behind one face.

| level      | what it is                                        | where                         |
|------------|---------------------------------------------------|-------------------------------|
| `roofline` | rates and row openings, in closed form            | `roofline`                    |
| `command`  | every command of a channel: slow                  | `channel`, and the commands   |
| `fast`     | the command level's periods, carried on (default) | and tables of `services/dram` |

A call is the heads of one layer and sub-batch on one channel, one after the other (see `channel`); `striped`
makes a stack one channel. Its time is that of the pseudo channel with the most tokens.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from l3sim.device.attention.levels import CallCost, HeadModel, LevelModel
from l3sim.device.attention.rank_sums import Decoding, RankSums
from l3sim.placement import Layout
from l3sim.services.dram.command.columns import WIDTH
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.model import CommandModel
from l3sim.services.dram.fast.model import FastModel, TableOf
from l3sim.services.dram.fast.table import AttendTable
from l3sim.services.hbm_pim.channel import kernel_of
from l3sim.services.hbm_pim.energy import weights
from l3sim.services.hbm_pim.roofline import Head
from l3sim.specs.config import HbmPimConfig
from l3sim.specs.model import ModelShape
from l3sim.units import Floats, Int64s, ps


class StackModel(LevelModel[tuple[Decoding, object]]):
    """A channel at the level of its busiest pseudo channel.

    Args:
        channel: a model of that level. share: pseudo channels that a head lies on.
    """

    def __init__(self, channel: LevelModel[Any], share: int) -> None:
        self._channel = channel
        self._share = share

    def look_up(self, requests: Decoding) -> tuple[Decoding, object]:
        """See LevelModel."""
        share = replace(requests, tokens=self.share(requests.tokens), most=-(-requests.most // self._share))
        return share, self._channel.look_up(share)

    def cost(
        self,
        looked_up: tuple[Decoding, object],
        requests: Decoding,  # noqa: ARG002
        sums: RankSums,
    ) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        share, found = looked_up
        return self._channel.cost(found, share, sums)

    def share(self, tokens: Int64s) -> Int64s:
        """Tokens of the busiest pseudo channel."""
        return -(-tokens // self._share)


class FastStack(StackModel):
    """Level `fast`."""

    def __init__(self, channel: FastModel, share: int) -> None:
        super().__init__(channel, share)
        self._fast = channel

    @classmethod
    def of(
        cls, kernel: Kernel, layout: Layout, table: AttendTable, picojoules: Floats, share: int
    ) -> "FastStack":
        """The model of a table, whose single heads may have a table of their own."""
        channel = FastModel(kernel, layout, table, picojoules)
        if table.alone is None:
            return cls(channel, share)
        alone = FastModel(kernel, layout, table.alone, picojoules)
        return FastChannel(channel, share, alone, table.segment_tokens)

    def exact(self) -> CallCost:
        """Picoseconds and nanojoules of a call, at level `command`; see CommandModel.call."""
        call = self._fast.exact()
        return lambda tokens, appends: call(self.share(tokens), appends)


class FastChannel(FastStack):
    """The same where a head that comes alone takes longer than it adds to others.

    Args:
        alone: model of a head of a segment at most that comes alone.
    """

    def __init__(self, channel: FastModel, share: int, alone: FastModel, segment_tokens: int) -> None:
        super().__init__(channel, share)
        self._alone = StackModel(alone, share)
        self._segment_tokens = segment_tokens

    def look_up(self, requests: Decoding) -> tuple[Decoding, object]:
        """See LevelModel."""
        share, found = super().look_up(requests)
        return share, (found, self._alone.look_up(requests))

    def cost(
        self, looked_up: tuple[Decoding, Any], requests: Decoding, sums: RankSums
    ) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        share, (found, alone) = looked_up
        heads = sums.add(np.ones_like(share.tokens), share.bounds)
        long = sums.add((share.tokens > self._segment_tokens).astype(np.int64), share.bounds)
        single = (heads == 1) & (long == 0)
        several = super().cost((share, found), requests, sums)
        time, energy = (
            np.where(single, one, other)
            for one, other in zip(self._alone.cost(alone, requests, sums), several, strict=True)
        )
        return time, energy


class RooflineStack(HeadModel):
    """Level `roofline`: energy is that of the bits which are read."""

    def __init__(self, hbm: HbmPimConfig, model: ModelShape, layout: Layout) -> None:
        head = Head.of(hbm, model, layout)
        ps(head.cost_s(np.ones(1, dtype=np.int64)))
        super().__init__(head.cost_s, 0.0, layout)
        self._token_pj = head.token_pj

    def cost(self, looked_up: Int64s, requests: Decoding, sums: RankSums) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        tokens = sums.add(requests.tokens, requests.bounds)
        energy = np.floor(tokens * (self._token_pj / 1000) + 0.5).astype(np.int64)
        return sums.add(looked_up, requests.bounds), energy


def stack_model(
    hbm: HbmPimConfig, model: ModelShape, layout: Layout, table_of: TableOf
) -> StackModel | RooflineStack:
    """The model of the channels of a stack.

    Args:
        layout: whose ranks are channels (see `spread`). table_of: called at level `fast`.

    Raises:
        InvalidInput: the model does not fit the stack's units or buffers; the field is a key of its section.
        ValueError: a rate makes costs beyond measure.
    """
    if hbm.level == "roofline":
        return RooflineStack(hbm, model, layout)
    kernel = kernel_of(hbm, model, layout)
    picojoules = sum(weights(hbm, kernel).values(), start=np.zeros(WIDTH))
    share = hbm.pseudo_channels // hbm.heads_at_once
    if hbm.level == "command":
        return StackModel(CommandModel(kernel, picojoules), share)
    return FastStack.of(kernel, layout, table_of(kernel), picojoules, share)

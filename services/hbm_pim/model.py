"""What attend calls cost on an HBM stack with units, at three levels behind one face.

| level      | what it is                                        | where                         |
|------------|---------------------------------------------------|-------------------------------|
| `roofline` | rates and row openings, in closed form            | `roofline`                    |
| `command`  | every command of a pseudo channel: slow           | `channel`, and the commands   |
| `fast`     | the command level's periods, carried on (default) | and tables of `services/dram` |

A call is the heads of one layer and sub-batch on one stack, one after the other. Its time is that of the
pseudo channel with the most tokens (see `channel`); its energy is power x time at every level, since no
currents of these stacks are published.
"""

from dataclasses import replace
from typing import Any

from l3sim.device.attention.levels import CallCost, LevelModel
from l3sim.device.attention.rank_sums import Decoding, RankSums
from l3sim.placement import Layout
from l3sim.services.dram.command.columns import each_cycle
from l3sim.services.dram.command.model import CommandModel
from l3sim.services.dram.fast.model import FastModel, TableOf
from l3sim.services.hbm_pim.channel import kernel_of
from l3sim.specs.config import HbmPimConfig
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s


class StackModel(LevelModel[tuple[Decoding, object]]):
    """A stack at the level of its busiest pseudo channel.

    Args:
        channel: a model of that level. channels: of the stack.
    """

    def __init__(self, channel: LevelModel[Any], channels: int) -> None:
        self._channel = channel
        self._channels = channels

    def look_up(self, requests: Decoding) -> tuple[Decoding, object]:
        """See LevelModel."""
        share = replace(
            requests, tokens=self.share(requests.tokens), most=-(-requests.most // self._channels)
        )
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
        """Tokens of the busiest channel."""
        return -(-tokens // self._channels)


class FastStack(StackModel):
    """Level `fast`."""

    def __init__(self, channel: FastModel, channels: int) -> None:
        super().__init__(channel, channels)
        self._fast = channel

    def exact(self) -> CallCost:
        """Picoseconds and nanojoules of a call, at level `command`; see CommandModel.call."""
        call = self._fast.exact()
        return lambda tokens, appends: call(self.share(tokens), appends)


def stack_model(hbm: HbmPimConfig, model: ModelShape, layout: Layout, table_of: TableOf) -> StackModel:
    """The model of a stack at level `command` or `fast`.

    Args:
        table_of: called at level `fast`.

    Raises:
        InvalidInput: the model does not fit the stack's units or buffers; the field is a key of its section.
        ValueError: a rate makes costs beyond measure.
    """
    kernel = kernel_of(hbm, model, layout)
    picojoules = each_cycle(hbm.module_active_w * hbm.channel.tck_ps)
    if hbm.level == "command":
        return StackModel(CommandModel(kernel, picojoules), hbm.pseudo_channels)
    fast = FastModel(kernel, layout, table_of(kernel), picojoules)
    return FastStack(fast, hbm.pseudo_channels)

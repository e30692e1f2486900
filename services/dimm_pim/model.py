"""What an attend call costs on each rank, at four levels of fidelity behind one face.

| level      | what it is                                        | where                        |
|------------|---------------------------------------------------|------------------------------|
| `roofline` | rates and row openings, in closed form            | `roofline`                   |
| `command`  | every DRAM command under its constraints: slow    | `command/`                   |
| `fast`     | the command level's periods, carried on (default) | `fast/`: a table made by it  |
| `ideal`    | all ranks' bandwidth together, evenly used        | `l3sim/device/attention`     |

An attend call is one layer of one sub-batch on one rank: its head groups one after the other, from closed
rows to closed rows, the refresh counter starting anew; so its cost depends on the work alone. At `roofline`
and `fast` the costs of head groups add up, so that a window of many rounds and ranks is a few array
operations.
"""

from typing import Any

import numpy as np

from l3sim.device.attention.ideal import ideal_model
from l3sim.device.attention.levels import HeadModel, LevelModel
from l3sim.device.attention.rank_sums import Decoding, check_sum
from l3sim.placement import Layout
from l3sim.services.dimm_pim.roofline import GroupCosts, head_group
from l3sim.services.dram.command.columns import WIDTH
from l3sim.services.dram.command.energy import weights
from l3sim.services.dram.command.kernel import kernel_of
from l3sim.services.dram.command.model import CommandModel
from l3sim.services.dram.fast.model import FastModel, TableOf
from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s


class RooflineModel(HeadModel):
    """Level `roofline`, with a table of what was asked."""

    def __init__(self, pim: DimmPimConfig, model: ModelShape, layout: Layout) -> None:
        group = head_group(pim, model, layout)
        super().__init__(group.cost_s, pim.rank_active_w, layout)
        self._groups = GroupCosts(group)
        self._layout = layout

    def look_up(self, requests: Decoding) -> Int64s:
        """See LevelModel."""
        costs = requests.where_any(self._groups.at(requests.tokens, requests.most))
        check_sum(int(costs.max()), len(requests.tokens), self._layout)
        return costs


def level_model(pim: DimmPimConfig, model: ModelShape, layout: Layout, table_of: TableOf) -> LevelModel[Any]:
    """The model of a module's level.

    Args:
        table_of: called at level `fast`.

    Raises:
        InvalidInput: the model does not fit the module's chips or buffers; the field is a key of its section.
        ValueError: a rate makes costs beyond measure.
    """
    if pim.level == "roofline":
        return RooflineModel(pim, model, layout)
    if pim.level == "ideal":
        return ideal_model(pim, model, layout, pim.rank_active_w)
    kernel = kernel_of(pim, model, layout)
    picojoules = sum(weights(kernel).values(), start=np.zeros(WIDTH))
    if pim.level == "command":
        return CommandModel(kernel, picojoules)
    return FastModel(kernel, layout, table_of(kernel), picojoules)

"""One controller of a stack, as the command level sees it: a rank of one chip, whose unit is its part of the
buffer die.

A head lies over a stack in one of two ways (`mapping`):

`head_per_channel`: on one channel, which is `head_pseudo_channels` of them in lockstep; heads go to the
channels in turn (`spread`), so that as many run at once. Inside, tokens lie over pseudo channels and bank
groups, elements over the banks of a group (`services/dram/command/grouped.py`). All pseudo channels of a
channel take the same commands; the one with the most tokens, ceil(t / head_pseudo_channels), is run.
Source: AttAcc (ASPLOS 2024), the mapping of its public simulator at bank level.

`striped`: over all pseudo channels, one head after the other:

    stack      tokens 0, n, 2n, ...   tokens 1, n+1, ...            tokens n-1, 2n-1, ...    of K and of V
               pseudo channel 0       pseudo channel 1       ...    pseudo channel n-1
    channel    K: token by token over the banks (or bank groups); V: dimension by dimension over the same
               Q and S  over the TSVs to all units at once;  sums  over the TSVs to the buffer die

The pseudo channel that the new token is written to is one with the most, ceil(t / n); all wait for each
other at the softmax, whose sum goes over all tokens. So a head takes as long as that one. This is no
published system's layout: it is that of our DIMM modules.

Adders of the buffer die keep up with the TSVs. `pu: buffer` is the command level's `rank`: K and V themselves
cross the TSVs.
"""

import msgspec

from l3sim.errors import InvalidInput
from l3sim.placement import Layout
from l3sim.services.dram.command import kernel
from l3sim.services.dram.command.grouped import grouped_kernel_of
from l3sim.services.dram.command.kernel import Kernel
from l3sim.specs.config import HbmPimConfig
from l3sim.specs.model import ModelShape
from l3sim.specs.rank import PseudoChannelConfig

#: Additions a second that hold nothing back.
_KEEPS_UP = 1e18


def channel_of(hbm: HbmPimConfig) -> PseudoChannelConfig:
    """A pseudo channel of a stack, with an even share of the buffer die."""
    return PseudoChannelConfig(
        **msgspec.structs.asdict(hbm.channel),
        pu="rank" if hbm.pu == "buffer" else hbm.pu,
        chips_per_rank=1,
        banks_per_chip=hbm.banks,
        score_buffer_bytes=hbm.stack_score_buffer_bytes // hbm.pseudo_channels,
        rank_pu_latency_tck=hbm.softmax_latency_tck,
        softmax_elements_per_s=hbm.softmax_elements_per_s / hbm.pseudo_channels,
        adder_sums_per_s=_KEEPS_UP,
        grouped=hbm.mapping == "head_per_channel" and hbm.pu != "buffer",
        stack_ids=hbm.stack_ids,
    )


def kernel_of(hbm: HbmPimConfig, model: ModelShape, layout: Layout) -> Kernel:
    """The kernel of a job on a pseudo channel.

    Raises:
        InvalidInput: the head does not fit columns and units, or a buffer is too small.
    """
    channel = channel_of(hbm)
    elements, units = hbm.channel.column_bytes // 2, hbm.units // hbm.pseudo_channels
    if not channel.grouped and (model.head_size % elements or model.head_size % units):
        text = f"heads of {model.head_size} elements do not fill columns of {elements} and {units} units"
        raise InvalidInput(("mapping", f"{text}; use head_per_channel, or level roofline"))
    try:
        if channel.grouped:
            return grouped_kernel_of(channel, model, layout.queries_per_read)
        return kernel.kernel_of(channel, model, layout)
    except InvalidInput as error:
        names = {"score_buffer_bytes": "stack_score_buffer_bytes"}
        raise InvalidInput(*((names.get(key, key), text) for key, text in error.violations)) from None

"""One pseudo channel of a stack, as the command level sees it: a rank of one chip, whose unit is its part of
the buffer die.

    stack      tokens 0, n, 2n, ...   tokens 1, n+1, ...            tokens n-1, 2n-1, ...    of K and of V
               pseudo channel 0       pseudo channel 1       ...    pseudo channel n-1
    channel    K: token by token over the banks (or bank groups); V: dimension by dimension over the same
               Q and S  over the TSVs to all units at once;  sums  over the TSVs to the buffer die

Tokens go to the channels in turn, so that the channel which the new token is written to is one with the most,
ceil(t / n); all channels wait for each other at the softmax, whose sum goes over all tokens. So a head takes
as long as that channel. Adders of the buffer die keep up with the TSVs. `pu: buffer` is the command level's
`rank`: K and V themselves cross the TSVs.

Source: AttAcc (ASPLOS 2024) for heads over stacks, and one head over channels, bank groups and banks; which
tokens and dimensions lie where is our reading, the same as in the DIMM modules.
"""

import msgspec

from l3sim.errors import InvalidInput
from l3sim.placement import Layout
from l3sim.services.dram.command import kernel
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
    )


def kernel_of(hbm: HbmPimConfig, model: ModelShape, layout: Layout) -> Kernel:
    """The kernel of a job on a pseudo channel.

    Raises:
        InvalidInput: the head does not fit columns and units, or a buffer is too small.
    """
    channel = channel_of(hbm)
    elements, units = hbm.channel.column_bytes // 2, hbm.units // hbm.pseudo_channels
    if model.head_size % elements or model.head_size % units:
        text = f"heads of {model.head_size} elements do not fill columns of {elements} and {units} units"
        raise InvalidInput(("level", f"{text}; use level roofline"))
    try:
        return kernel.kernel_of(channel, model, layout)
    except InvalidInput as error:
        names = {"score_buffer_bytes": "stack_score_buffer_bytes"}
        raise InvalidInput(*((names.get(key, key), text) for key, text in error.violations)) from None

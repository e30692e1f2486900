"""Pseudo channels of the HBM-PIM machines with some keys changed."""

from functools import cache
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.placement import layout_of
from l3sim.services.dram.command.grouped import GroupedKernel
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.hbm_pim.channel import channel_of, kernel_of
from l3sim.specs.config import HbmPimConfig
from l3sim.specs.rank import PseudoChannelConfig
from tests.services.builders import machine, reshaped
from tests.services.dram.command.domain import TIMINGS

OF_A_STACK = {"rank_pu_latency_tck": "softmax_latency_tck"}
SWITCHES: dict[str, tuple[Any, ...]] = {
    "pu": ("bank", "bank", "bank-group", "buffer"),
    "n_cmr": (None, 1, 2, 3),
    "pipelining": (True, True, False),
    "overlap_heads": (True, False),
    "all_bank_faw": ("obey", "exempt"),
    "refresh": (True, True, False),
    "refresh_phase": (0.0, 0.3, 0.95),
    "result_bytes": (2, 4),
    "result_buffer_bytes": (128, 512),
    "shared_buffer_bytes": (8192, 16384),
    "stack_score_buffer_bytes": (2**19, 2**20),
    "chunk_tokens": (32, 64, 256),
    "softmax_elements_per_s": (512e9, 100e9),
}


def stack_of(on: str = "hbm-pim-dgx-a100", **keys: Any) -> HbmPimConfig:
    """The stack of a machine with some keys changed."""
    hbm: HbmPimConfig = machine(on).attention
    return hbm.changed(**keys)


def pseudo_channel(**keys: Any) -> PseudoChannelConfig:
    """Its pseudo channel."""
    return channel_of(stack_of(**keys))


@cache
def kernel(queries: int = 1, **keys: Any) -> Kernel:
    """A kernel of heads with so many queries each, striped over a stack."""
    striped: dict[str, Any] = {"mapping": "striped", "result_bytes": 4, "chunk_tokens": 64}
    hbm = stack_of(**striped | keys)
    shape = reshaped("llama-2-70b", heads=8 * queries, kv_heads=8)
    return kernel_of(hbm, shape, layout_of(hbm, shape, 1, 1))


@cache
def grouped(queries: int = 1, head_size: int = 128, **keys: Any) -> GroupedKernel:
    """A kernel of heads on a channel each."""
    hbm = stack_of(**keys)
    shape = reshaped("llama-2-70b", heads=8 * queries, kv_heads=8, head_size=head_size)
    made = kernel_of(hbm, shape, layout_of(hbm, shape, 1, 1))
    assert isinstance(made, GroupedKernel)
    return made


@st.composite
def calls(draw: st.DrawFn) -> tuple[Kernel, list[int]]:
    """A kernel that fits its buffers, timings drawn as for DIMMs, and tokens of one to three heads."""
    timings = {OF_A_STACK.get(key, key): st.integers(*bounds) for key, bounds in TIMINGS.items()}
    timings |= {"rcd_wr_tck": st.integers(1, 60)}
    switches = {key: st.sampled_from(values) for key, values in SWITCHES.items()}
    keys = draw(st.fixed_dictionaries({}, optional={**timings, **switches}))
    try:
        of = kernel(draw(st.sampled_from([1, 1, 2, 4, 5, 8, 16])), **keys)
    except InvalidInput:
        assume(False)
        raise
    most = max(1100 // of.geometry.queries // of.passes(of.geometry.queries), 20)
    return of, draw(st.lists(st.integers(1, most), min_size=1, max_size=3))

"""Kernels and calls of all kinds, small enough for plain Python to look at every command."""

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.services.dram.command.kernel import Kernel
from tests.services.dram.command.kernels import kernel

#: Timing keys and the values that they may take; no two rules of the table are the same for all of them.
TIMINGS = {
    "bl_tck": (2, 8),
    "ccd_s_tck": (2, 9),
    "ccd_l_tck": (3, 17),
    "rrd_s_tck": (1, 12),
    "rrd_l_tck": (1, 20),
    "faw_tck": (4, 90),
    "rcd_tck": (1, 60),
    "ras_tck": (1, 120),
    "rp_tck": (1, 60),
    "rc_tck": (2, 200),
    "cl_tck": (4, 40),
    "wl_tck": (2, 40),
    "wtr_s_tck": (1, 20),
    "wtr_l_tck": (1, 40),
    "wr_tck": (1, 60),
    "rtp_tck": (1, 40),
    "rfc_tck": (1, 900),
    "refi_tck": (8000, 13000),  # no row of the slowest unit takes nine of the shortest
    "mac_latency_tck": (0, 60),
    "rank_pu_latency_tck": (0, 60),
}
SWITCHES: dict[str, tuple[Any, ...]] = {
    "n_hc": (1, 2, 4, 8),
    "n_cmr": (None, 1, 2, 3),
    "pu": ("bank", "bank", "rank"),
    "pipelining": (True, True, False),
    "overlap_heads": (True, False),
    "relayout": ("unit", "cpu"),
    "all_bank_faw": ("obey", "exempt"),
    "host_transfer_bytes": (0, 100, 9000),
    "refresh": (True, True, False),
    "refresh_phase": (0.0, 0.3, 0.95),
    "result_bytes": (2, 4),
    "result_buffer_bytes": (64, 128, 512),
    "shared_buffer_bytes": (1024, 2048, 5000, 8192),
    "score_buffer_bytes": (16384, 32768, 524288),
    "chunk_tokens": (16, 48, 64, 256),
    "adder_sums_per_s": (12.8e9, 1.1e9),
    "softmax_elements_per_s": (12.8e9, 0.5e9),
}


def keys(odd: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Keys that differ from the reference machine's; `odd`: timings too."""
    switches = {key: st.sampled_from(values) for key, values in SWITCHES.items()}
    timings = {key: st.integers(*bounds) for key, bounds in TIMINGS.items()} if odd else {}
    return st.fixed_dictionaries({}, optional={**switches, **timings})


@st.composite
def kernels(draw: st.DrawFn, odd: bool = True) -> Kernel:
    """A kernel that fits its buffers."""
    try:
        return kernel(draw(st.sampled_from([1, 1, 2, 4, 5, 8, 16])), **draw(keys(odd)))
    except InvalidInput:
        assume(False)
        raise


@st.composite
def calls(draw: st.DrawFn, odd: bool = True) -> tuple[Kernel, list[int]]:
    """A kernel, and tokens of one to three head groups."""
    of = draw(kernels(odd))
    most = max(1100 // of.geometry.queries // of.passes(of.geometry.queries), 20)
    return of, draw(st.lists(st.integers(1, most), min_size=1, max_size=3))

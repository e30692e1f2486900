"""Kind `dimm-pim`: DIMMs with processing units beside the DRAM banks.

What one rank is, timing and units, stands in `l3sim/specs/rank.py`; here is what modules add.
"""

from typing import Annotated, Literal

from msgspec import Meta

from l3sim.specs.rank import RankConfig
from l3sim.specs.section import Bytes, Count, NonNegative, Positive, Share


class DimmPimConfig(RankConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Modules, their processing units, and the switches of a job."""

    kind: Literal["dimm-pim"] = "dimm-pim"
    level: Literal["fast", "command", "roofline"] = "fast"
    modules: Annotated[int, Meta(ge=2, le=4096)]
    modules_per_channel: Annotated[int, Meta(ge=1, le=8)]
    ranks_per_module: Annotated[int, Meta(ge=1, le=8)]
    rank_capacity_bytes: Bytes
    capacity_bytes: Bytes | None = None  # of the whole machine, instead of all ranks in use
    memory_share: Share = 1.0  # of the capacity that KV may use
    ranksets: Count | None = None  # use only the first so many
    kv_block_tokens: Count | None = None  # of a head group's KV block; none: what fills one row of all banks
    n_hc: Annotated[int, Meta(ge=1, le=64)] | None = None  # chips per head; none: the bubble-free bound
    n_cmr: Count | None = None  # query heads per KV read; none: the model's queries per KV head
    pu: Literal["bank", "rank"] = "bank"  # where K and V are multiplied
    column_bytes: Annotated[int, Meta(ge=1, le=64)]  # of one burst of one chip
    check_fidelity: Annotated[float, Meta(ge=0, le=1)] = 0.0  # share of windows costed by command as well
    vdd_v: Positive
    idd0_ma: NonNegative  # of one chip: activate and precharge, a row every tRC
    idd2n_ma: NonNegative  # precharged, standing by
    idd3n_ma: NonNegative  # a row open, standing by
    idd4r_ma: NonNegative  # reading without gaps
    idd4w_ma: NonNegative  # writing without gaps
    idd5b_ma: NonNegative  # refreshing without gaps
    mac_pj: NonNegative  # one FP16 multiply-add of a bank's unit
    column_core_share: Share  # of a read's energy, what stays inside the bank
    io_pj_per_bit: NonNegative  # between chips and buffer chip
    adder_pj: NonNegative  # one FP32 addition of a rank's unit
    softmax_pj: NonNegative  # one exponential, its sum and its scaling
    pass_overhead_ns: NonNegative  # level roofline: commands of one pass
    rank_active_w: NonNegative  # level roofline: above idle, while a rank attends
    module_idle_w: NonNegative

    def reads(self, key: str) -> bool:
        """See Section.reads."""
        return key not in (_ROOFLINE_ONLY if self.level != "roofline" else _COMMAND_ONLY)


_ROOFLINE_ONLY = frozenset({"pass_overhead_ns", "rank_active_w"})
_ROOFLINE_READS = frozenset(
    {
        *("tck_ps", "bl_tck", "ccd_s_tck", "ccd_l_tck", "rcd_tck", "rp_tck", "chips_per_rank"),
        *("banks_per_chip", "row_bytes", "column_bytes", "pipelining", "result_bytes"),
        *("softmax_elements_per_s",),
    }
)
_COMMAND_ONLY = (
    frozenset(
        {
            *RankConfig.__struct_fields__,
            *("vdd_v", "idd0_ma", "idd2n_ma", "idd3n_ma", "idd4r_ma", "idd4w_ma", "idd5b_ma"),
            *("check_fidelity", "mac_pj", "column_core_share", "io_pj_per_bit", "adder_pj", "softmax_pj"),
        }
    )
    - _ROOFLINE_READS
)

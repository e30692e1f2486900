"""Kind `dimm-pim`: DIMMs with processing units beside the DRAM banks.

Cycles (`_tck`) are of one DRAM clock, `tck_ps`. Names are JEDEC's: tRCD is `rcd_tck`, and so on. Which
constraint each of them enters stands in `services/dimm_pim/command/constraints.py`.
"""

from typing import Annotated, Literal

from msgspec import Meta

from l3sim.specs.section import Bytes, Count, NonNegative, Positive, Section, Share

Cycles = Annotated[int, Meta(ge=0, le=1_000_000)]


class DramConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The DRAM chips: timing in clock cycles, currents in milliamperes."""

    tck_ps: Count
    bl_tck: Annotated[int, Meta(ge=1, le=64)]  # a burst on the data bus
    ccd_s_tck: Cycles  # column to column, another bank group
    ccd_l_tck: Annotated[int, Meta(ge=1, le=1_000_000)]  # the same bank group; and of a PIM_MAC
    rrd_s_tck: Cycles
    rrd_l_tck: Cycles
    faw_tck: Cycles  # window of four activations
    rcd_tck: Cycles
    ras_tck: Cycles
    rp_tck: Cycles
    rc_tck: Cycles
    cl_tck: Cycles
    wl_tck: Cycles
    wtr_s_tck: Cycles
    wtr_l_tck: Cycles
    wr_tck: Cycles
    rtp_tck: Cycles
    refi_tck: Annotated[int, Meta(ge=1, le=10_000_000)]  # between two refreshes
    rfc_tck: Cycles  # by density
    vdd_v: Positive
    idd0_ma: NonNegative  # of one chip: activate and precharge, a row every tRC
    idd2n_ma: NonNegative  # precharged, standing by
    idd3n_ma: NonNegative  # a row open, standing by
    idd4r_ma: NonNegative  # reading without gaps
    idd4w_ma: NonNegative  # writing without gaps
    idd5b_ma: NonNegative  # refreshing without gaps


class DimmPimConfig(DramConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Modules, their processing units, and the switches of a job."""

    kind: Literal["dimm-pim"] = "dimm-pim"
    level: Literal["fast", "command", "roofline"] = "fast"
    modules: Annotated[int, Meta(ge=2, le=4096)]
    modules_per_channel: Annotated[int, Meta(ge=1, le=8)]
    ranks_per_module: Annotated[int, Meta(ge=1, le=8)]
    chips_per_rank: Count
    bank_groups: Annotated[int, Meta(ge=1, le=64)]  # of a chip
    banks_per_chip: Annotated[int, Meta(ge=1, le=256)]
    row_bytes: Bytes  # of one bank of one chip
    column_bytes: Annotated[int, Meta(ge=1, le=64)]  # of one burst of one chip
    rank_capacity_bytes: Bytes
    capacity_bytes: Bytes | None = None  # of the whole machine, instead of all ranks in use
    memory_share: Share = 1.0  # of the capacity that KV may use
    ranksets: Count | None = None  # use only the first so many
    kv_block_tokens: Count | None = None  # of a head group's KV block; none: what fills one row of all banks
    n_hc: Annotated[int, Meta(ge=1, le=64)] | None = None  # chips per head; none: the bubble-free bound
    n_cmr: Count | None = None  # query heads per KV read; none: the model's queries per KV head
    pu: Literal["bank", "rank"] = "bank"  # where K and V are multiplied
    pipelining: bool = True  # collecting overlaps with computing
    overlap_heads: bool = True  # a head group's rows open while the outputs of the one before are collected
    relayout: Literal["unit", "cpu"] = "unit"  # who puts an element into one chip
    pim_activation: Literal["faw", "exempt"] = "faw"  # are activations of all banks bound by tFAW?
    host_transfer_bytes: Annotated[int, Meta(ge=0, le=2**30)] = 0  # written between score and context
    refresh: bool = True
    refresh_phase: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # of tREFI that has passed when a call begins
    check_fidelity: Annotated[float, Meta(ge=0, le=1)] = 0.0  # share of windows costed by command as well
    result_bytes: Annotated[int, Meta(ge=1, le=8)]  # of one collected sum
    result_buffer_bytes: Bytes  # of one bank's unit
    shared_buffer_bytes: Bytes  # of one chip
    chunk_tokens: Annotated[int, Meta(ge=1, le=65536)]  # computed while the ones before move
    score_buffer_bytes: Bytes  # of one rank's unit
    mac_latency_tck: Cycles  # from a column's data to the finished sum
    rank_pu_latency_tck: Cycles  # from a chunk's last sum to its first exponential, and to its last S
    adder_sums_per_s: Positive  # of one rank's unit
    softmax_elements_per_s: Positive  # of one rank's unit
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

    @property
    def bank_bytes_per_s(self) -> float:
        """What one bank of one chip gives its unit: a column every CCD_L."""
        return self.column_bytes * 1e12 / (self.tck_ps * self.ccd_l_tck)

    @property
    def rank_bytes_per_s(self) -> float:
        """The bus of one rank: a burst of all chips every CCD_S."""
        return self.chips_per_rank * self.column_bytes * 1e12 / (self.tck_ps * self.burst_tck)

    @property
    def burst_tck(self) -> int:
        """Cycles from one burst to the next on a rank's bus."""
        return max(self.bl_tck, self.ccd_s_tck)

    @property
    def row_cycle_ns(self) -> float:
        """Closing a row and opening another: RP + RCD."""
        return (self.rp_tck + self.rcd_tck) * self.tck_ps / 1000


_ROOFLINE_ONLY = frozenset({"pass_overhead_ns", "rank_active_w"})
_COMMAND_ONLY = frozenset(
    {
        *DramConfig.__struct_fields__,
        *("bank_groups", "overlap_heads", "relayout", "pim_activation", "host_transfer_bytes", "refresh"),
        *("refresh_phase", "check_fidelity", "result_buffer_bytes", "shared_buffer_bytes", "chunk_tokens"),
        *("score_buffer_bytes", "mac_latency_tck", "rank_pu_latency_tck", "adder_sums_per_s", "mac_pj"),
        *("column_core_share", "io_pj_per_bit", "adder_pj", "softmax_pj", "pu"),
    }
) - {"tck_ps", "bl_tck", "ccd_s_tck", "ccd_l_tck", "rcd_tck", "rp_tck"}

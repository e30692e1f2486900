"""Kinds `hbm-pim` and `cpu-attention`: memory modules that each attend whole heads on their own.

A *module* is an HBM stack with its units, or one memory channel of the host with its share of the cores. One
head of a request and layer lies on one module; modules form one rankset, of one rank each, so that transfers
and attention take turns. A timing key of a stack is JEDEC's, as those in `l3sim/specs/rank.py` are.
"""

from typing import Annotated, Literal

from msgspec import Meta

from l3sim.specs.rank import Cycles, PseudoChannelConfig
from l3sim.specs.section import Bytes, Count, NonNegative, Positive, Section, Share


class RanklessConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the machine itself reads of modules without ranks, whoever's they are."""

    kind: str
    level: str = ""
    modules: Annotated[int, Meta(ge=1, le=4096)]
    module_capacity_bytes: Bytes
    memory_share: Share = 1.0  # of the capacity that KV may use
    n_cmr: Count | None = None  # query heads per KV read; none: all that the units have room for


class ModuleConfig(RanklessConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What both kinds have."""

    level: Literal["fast", "command", "roofline"] = "roofline"
    pass_overhead_ns: NonNegative  # commands, or loops, of one head
    module_active_w: NonNegative  # above idle, while it attends
    module_idle_w: NonNegative

    @property
    def module_bytes_per_s(self) -> float:
        """What the units of one module read of KV, efficiency left out."""
        raise AttributeError(f"kind {self.kind!r} says no rate")


class HbmPimConfig(ModuleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """HBM stacks with units beside banks, bank groups or at the buffer die; of the GPUs, or of their own."""

    kind: Literal["hbm-pim"] = "hbm-pim"
    level: Literal["fast", "command", "roofline"] = "fast"
    inside_gpu: bool  # the GPUs' own memory: weights, reserve and prefill KV take their part of it
    memory_reserve_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # inside_gpu: as of the GPUs
    prefill_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # inside_gpu: of what is left, for prefill KV
    pu: Literal["bank", "bank-group", "buffer"] = "bank"  # where K and V are multiplied
    pseudo_channels: Annotated[int, Meta(ge=1, le=128)]  # of a stack
    bank_groups: Annotated[int, Meta(ge=1, le=64)]  # of a pseudo channel, in all its stack ids
    banks: Annotated[int, Meta(ge=1, le=256)]  # of a pseudo channel, in all its stack ids
    column_bytes: Annotated[int, Meta(ge=1, le=256)]  # of one burst of a pseudo channel
    row_bytes: Bytes  # of one bank
    tck_ps: Count
    bl_tck: Annotated[int, Meta(ge=1, le=64)]  # a burst on a pseudo channel's bus
    ccd_s_tck: Annotated[int, Meta(ge=1, le=1_000_000)]  # column to column, another bank group
    ccd_l_tck: Annotated[int, Meta(ge=1, le=1_000_000)]  # the same bank group
    rrd_s_tck: Cycles
    rrd_l_tck: Cycles
    faw_tck: Cycles  # window of four activations
    rcd_tck: Cycles  # to a read
    rcd_wr_tck: Cycles  # to a write
    ras_tck: Cycles
    rp_tck: Cycles
    rc_tck: Cycles
    cl_tck: Cycles
    wl_tck: Cycles
    wtr_s_tck: Cycles
    wtr_l_tck: Cycles
    wr_tck: Cycles
    rtp_tck: Cycles
    refi_tck: Annotated[int, Meta(ge=1, le=10_000_000)]  # between two refreshes of all banks
    rfc_tck: Cycles  # by density
    pim_activation: Literal["faw", "exempt"] = "faw"  # are activations of all banks bound by tFAW?
    pipelining: bool = True  # collecting overlaps with computing
    overlap_heads: bool = True  # a head's rows open while the outputs of the one before are collected
    refresh: bool = True
    refresh_phase: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # of tREFI that has passed when a call begins
    check_fidelity: Annotated[float, Meta(ge=0, le=1)] = 0.0  # share of windows costed by command as well
    result_bytes: Annotated[int, Meta(ge=1, le=8)]  # of one collected sum
    result_buffer_bytes: Bytes  # of one unit
    shared_buffer_bytes: Bytes  # of one pseudo channel's units: Q and S
    chunk_tokens: Annotated[int, Meta(ge=1, le=65536)]  # of a pseudo channel, computed while others move
    stack_score_buffer_bytes: Bytes  # of one stack's buffer die
    mac_latency_tck: Cycles  # from a column's data to the finished sum
    softmax_latency_tck: Cycles  # from a chunk's last sum to its first exponential, and to its last S
    softmax_elements_per_s: Positive  # of one stack's buffer die

    def reads(self, key: str) -> bool:
        """See Section.reads."""
        return key not in (_ROOFLINE_ONLY if self.level != "roofline" else _COMMAND_ONLY)

    @property
    def units(self) -> int:
        """Processing units of a stack."""
        of_channel = {"bank": self.banks, "bank-group": self.bank_groups, "buffer": 1}
        return self.pseudo_channels * of_channel[self.pu]

    @property
    def unit_bytes_per_s(self) -> float:
        """A column every CCD_L, or every CCD_S from bank groups in turn."""
        cycles = self.ccd_s_tck if self.pu == "buffer" else self.ccd_l_tck
        return self.column_bytes * 1e12 / (self.tck_ps * cycles)

    @property
    def module_bytes_per_s(self) -> float:
        """See ModuleConfig."""
        return self.units * self.unit_bytes_per_s

    @property
    def bus_bytes_per_s(self) -> float:
        """What one stack gives to the outside."""
        return self.pseudo_channels * self.column_bytes * 1e12 / (self.tck_ps * self.ccd_s_tck)


_ROOFLINE_ONLY = frozenset({"pass_overhead_ns"})
_ROOFLINE_TOO = {
    *("tck_ps", "ccd_s_tck", "ccd_l_tck", "rcd_tck", "rp_tck", "column_bytes", "row_bytes", "bank_groups"),
    *("pu", "softmax_elements_per_s"),
}
_COMMAND_ONLY = frozenset(
    {
        *PseudoChannelConfig.__struct_fields__,
        *("check_fidelity", "stack_score_buffer_bytes", "softmax_latency_tck"),
    }
    - _ROOFLINE_TOO
)


class CpuAttentionConfig(ModuleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The host's cores and memory channels; a module is a channel with an even share of the cores."""

    kind: Literal["cpu-attention"] = "cpu-attention"
    level: Literal["roofline"] = "roofline"
    memory_bytes_per_s: Positive  # of one channel
    memory_efficiency: Share
    cores: Count  # of the host
    core_flops: Positive  # FP32 of one core
    compute_efficiency: Share
    cache_bytes: Bytes  # of one core: holds queries and outputs of the heads that one KV read serves

    @property
    def module_bytes_per_s(self) -> float:
        """See ModuleConfig."""
        return self.memory_bytes_per_s


class GpuAttentionConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Kind `gpu` in the attention section: no device of its own, the GPUs attend, with KV in their memory."""

    kind: Literal["gpu"] = "gpu"
    memory_share: Share = 1.0  # of what reserve and weights leave, that KV may use

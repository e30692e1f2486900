"""Kinds `hbm-pim` and `cpu-attention`: memory modules that each attend whole heads on their own.

A *module* is an HBM stack with its units, or one memory channel of the host with its share of the cores. One
head of a request and layer lies on one module; modules form one rankset, of one rank each, so that transfers
and attention take turns. Both are rooflines.
"""

from typing import Annotated, Literal

from msgspec import Meta

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

    level: Literal["roofline"] = "roofline"
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
    inside_gpu: bool  # the GPUs' own memory: weights, reserve and prefill KV take their part of it
    memory_reserve_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # inside_gpu: as of the GPUs
    prefill_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # inside_gpu: of what is left, for prefill KV
    pu: Literal["bank", "bank-group", "buffer"] = "bank"  # where K and V are multiplied
    pseudo_channels: Annotated[int, Meta(ge=1, le=128)]  # of a stack
    bank_groups: Annotated[int, Meta(ge=1, le=64)]  # of a pseudo channel
    banks: Annotated[int, Meta(ge=1, le=256)]  # of a pseudo channel
    column_bytes: Annotated[int, Meta(ge=1, le=256)]  # of one burst of a pseudo channel
    row_bytes: Bytes  # of one bank
    tck_ps: Count
    ccd_s_tck: Annotated[int, Meta(ge=1, le=1_000_000)]  # column to column, another bank group
    ccd_l_tck: Annotated[int, Meta(ge=1, le=1_000_000)]  # the same bank group
    rcd_tck: Annotated[int, Meta(ge=0, le=1_000_000)]
    rp_tck: Annotated[int, Meta(ge=0, le=1_000_000)]
    softmax_elements_per_s: Positive  # of one stack's buffer die

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


class CpuAttentionConfig(ModuleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The host's cores and memory channels; a module is a channel with an even share of the cores."""

    kind: Literal["cpu-attention"] = "cpu-attention"
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

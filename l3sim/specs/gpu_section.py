"""The gpu section of a machine file: one struct a depth of what was measured, every key with its unit."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from l3sim.specs.section import (
    Bytes,
    Count,
    NonNegative,
    Part,
    Positive,
    ReserveShare,
    Section,
    SectionType,
    Share,
)


class GpuConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Kind `gpu`: tensor-parallel groups of one GPU type, as its data sheet has it: level `roofline`."""

    kind: str = "gpu"
    level: Literal["roofline", "calibrated", "attacc"] = "roofline"
    type: str = "unnamed"  # of the GPU file
    gpus: Count
    memory_bytes: Bytes  # of one GPU
    memory_reserve_share: ReserveShare
    memory_bytes_per_s: Positive
    memory_efficiency: Share
    compute_flops: Positive  # dense FP16
    compute_efficiency: Share
    attention_compute_efficiency: Share
    kernel_overhead_us: NonNegative  # launch and tail of one kernel
    fabric_bytes_per_s: Positive  # each way, one GPU
    fabric_efficiency: Share
    fabric_latency_us: NonNegative  # one step of a ring collective
    tdp_w: Positive
    idle_w: NonNegative

    @classmethod
    def struct_for(cls, values: Mapping[str, Any]) -> SectionType:
        """See Section.struct_for: a GPU's grows with its level and calibration."""
        level = values.get("level")
        if (values.keys() - {"all_reduce_mode"}) & set(MEASURED_KEYS):
            return MeasuredGpuConfig
        if level == "calibrated" or values.keys() & set(CALIBRATION_KEYS):
            return ProfiledGpuConfig
        if level == "attacc" or values.keys() & set(ATTACC_KEYS):
            return AttAccGpuConfig
        return GpuConfig

    @property
    def gemm_rates(self) -> tuple[float, float] | None:
        """Bytes and FLOPs a second that one GPU reaches in GEMMs, at its level."""
        return self.memory_bytes_per_s * self.memory_efficiency, self.compute_flops * self.compute_efficiency

    def collective_s(self, ranks: int, size_bytes: float) -> float:
        """An all-reduce by its largest terms, steps and bytes: for estimates before devices answer."""
        if ranks == 1:
            return 0.0
        moved = 2 * (ranks - 1) / ranks * size_bytes / (self.fabric_bytes_per_s * self.fabric_efficiency)
        return 2 * (ranks - 1) * self.fabric_latency_us / 1e6 + moved


class CalibratedGpuConfig(GpuConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same with what was fitted to measurements: level `calibrated`, or `roofline` by choice.

    `services/gpu/calibrated.py` says what each parameter means. Attention and collectives are those of a
    subclass, by what was measured.
    """

    sms: Count  # streaming multiprocessors
    gemm_compute_efficiency: Share
    gemm_memory_efficiency: Share
    gemm_cache_bytes_per_s: Positive  # of one SM
    gemm_launch_us: NonNegative
    gemm_tile_us: NonNegative
    gemm_interference: Part
    gemm_tail_share: Part
    gemm_reduce_us: NonNegative | None = None  # of a tile whose inner width is split; none: never split
    stream_launch_us: NonNegative
    norm_efficiency: Positive  # may exceed 1 where data stays in the cache
    norm_element_ns: NonNegative
    rotary_efficiency: Positive
    rotary_element_ns: NonNegative
    activation_efficiency: Positive
    activation_element_ns: NonNegative
    residual_efficiency: Positive
    residual_element_ns: NonNegative
    embedding_efficiency: Positive
    embedding_element_ns: NonNegative

    @property
    def gemm_rates(self) -> tuple[float, float] | None:
        """See GpuConfig.gemm_rates."""
        if self.level != "calibrated":
            return super().gemm_rates
        memory, compute = self.gemm_memory_efficiency, self.gemm_compute_efficiency
        return self.memory_bytes_per_s * memory, self.compute_flops * compute


class ProfiledGpuConfig(CalibratedGpuConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Dense kernels were measured; attention has efficiencies, an all-reduce one latency and one rate."""

    attention_memory_efficiency: Share
    all_reduce_latency_us: NonNegative
    all_reduce_bytes_per_s: Positive

    def collective_s(self, ranks: int, size_bytes: float) -> float:
        """See GpuConfig.collective_s."""
        if self.level != "calibrated" or ranks == 1:
            return super().collective_s(ranks, size_bytes)
        share = 2 * (ranks - 1) / ranks
        return self.all_reduce_latency_us / 1e6 + share * size_bytes / self.all_reduce_bytes_per_s


class MeasuredGpuConfig(CalibratedGpuConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Attention kernels and all-reduces were measured as well: `services/gpu/fused.py`, `all_reduce.py`."""

    attention_kernel: Literal["flash2", "flash3", "trtllm"]
    decode_launch_us: NonNegative
    decode_cta_us: NonNegative
    decode_block_us: Positive
    decode_memory_efficiency: Share
    decode_interference: Part
    decode_tail_share: Part
    decode_combine_us: NonNegative
    decode_split_us: NonNegative
    decode_regroup_us: NonNegative
    decode_most_splits: Count | None = None  # of all requests together; none: as many as fill the SMs
    prefill_launch_us: NonNegative
    prefill_cta_us: NonNegative
    prefill_block_us: Positive
    prefill_compute_efficiency: Share
    prefill_memory_efficiency: Share
    prefill_interference: Part
    prefill_chain_share: Part
    all_reduce_mode: Literal["custom", "nccl", "eager"] = "custom"
    all_reduce_eager_us: NonNegative
    custom_latency_us: NonNegative
    custom_rank_us: NonNegative
    custom_one_shot_bytes_per_s: Positive
    custom_two_shot_us: NonNegative
    custom_two_shot_bytes_per_s: Positive
    custom_below_bytes: Bytes
    custom_most_ranks: Count
    nccl_latency_us: NonNegative
    nccl_rank_us: NonNegative
    nccl_ll_bytes_per_s: Positive
    nccl_ll128_latency: NonNegative  # more than LL's, as a share of it
    nccl_ll128_bytes_per_s: Positive
    nccl_simple_latency: NonNegative  # more than LL128's, as a share of LL's
    nccl_simple_bytes_per_s: Positive
    nccl_switch_bytes_per_s: Positive | None = None  # none: the switch does not add up
    nccl_contention: Annotated[int, Meta(ge=0, le=3)] = 0

    def reads(self, key: str) -> bool:
        """See Section.reads."""
        return key != "all_reduce_mode" or self.level == "calibrated"

    def collective_s(self, ranks: int, size_bytes: float) -> float:
        """See GpuConfig.collective_s: the latency of the measured kernel, and the bytes of a two-shot one."""
        if self.level != "calibrated" or ranks == 1:
            return super().collective_s(ranks, size_bytes)
        latency_us = self.custom_latency_us + self.custom_rank_us * (ranks - 2)
        share = 2 * (ranks - 1) / ranks
        return latency_us / 1e6 + share * size_bytes / self.custom_two_shot_bytes_per_s


class AttAccGpuConfig(GpuConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same with the constants of AttAcc's public GPU model: level `attacc`, or `roofline` by choice.

    `services/gpu/attacc.py` says what each means.
    """

    attacc_sms: Count
    attacc_shared_bytes: Bytes  # of one SM
    attacc_cache_bytes: Bytes  # L2
    attacc_norm_us: NonNegative
    attacc_norm_us_per_byte: NonNegative
    attacc_activation_us: NonNegative
    attacc_activation_us_per_byte: NonNegative
    attacc_slope_bytes_per_s: Positive  # bandwidth of the GPU that both slopes are of
    attacc_step_ns: NonNegative  # of an all-reduce
    attacc_step_ns_per_byte: NonNegative
    attacc_kv_reads: Literal["kv-head", "query-head"] = "kv-head"  # how often decode attention reads KV


def _beyond(struct: SectionType, base: SectionType) -> tuple[str, ...]:
    return tuple(key for key in struct.__struct_fields__ if key not in base.__struct_fields__)


#: What fits to measurements add to a GPU: to every one, and where attention and all-reduces were measured.
CALIBRATION_KEYS = _beyond(ProfiledGpuConfig, GpuConfig)
MEASURED_KEYS = _beyond(MeasuredGpuConfig, CalibratedGpuConfig)
#: What level `attacc` adds.
ATTACC_KEYS = _beyond(AttAccGpuConfig, GpuConfig)

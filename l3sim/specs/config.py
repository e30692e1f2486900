"""What the sections of a machine file may say: one struct a section, every key with its unit.

Devices, orchestrator and clients check against the same structs; that of the memory modules has a file of
its own. Values and their sources stand in `machines/*.yaml` and `gpus/*.yaml`; the only defaults here are
switches, not hardware numbers.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from l3sim.specs.attention import AttentionSection
from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.modules import (
    CpuAttentionConfig,
    GpuAttentionConfig,
    HbmPimConfig,
    ModuleConfig,
    RanklessConfig,
)
from l3sim.specs.pcie import check_rate, check_uplinks
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


class LinkConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Kind `interconnect`: PCIe per GPU and the host's memory channels, level `roofline`."""

    kind: str = "interconnect"
    level: Literal["roofline"] = "roofline"
    pcie_generation: Annotated[int, Meta(ge=1, le=6)] | None = None  # with pcie_lanes: the rate by the table
    pcie_lanes: Annotated[int, Meta(ge=1, le=16)] | None = None
    pcie_bytes_per_s: Positive | None = None  # each way, one GPU; instead of generation and lanes
    pcie_efficiency: Share
    gpus_per_uplink: Count = 1  # GPUs behind one uplink of a switch; 1: none is shared
    uplink_bytes_per_s: Positive | None = None  # each way, one uplink; none: as one GPU's link
    channel_bytes_per_s: Positive
    channel_efficiency: Share
    setup_us: NonNegative
    overlap: Literal["rankset", "off"] = "rankset"
    channel_bus: Literal["half", "full"] = "half"
    relayout: Literal["unit", "cpu"] = "unit"  # who re-lays out what crosses the channels
    active_w: NonNegative  # above idle, of all replicas' links and channels while transfers run
    idle_w: NonNegative

    def check(self, where: str) -> None:
        """See Section.check."""
        check_rate(self, where)

    def check_replica(self, tp: int) -> None:
        """See Section.check_replica."""
        check_uplinks(self, tp)


class HostConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The host: explicit stages of every round (see `orchestrator/engine/host_stages.py`), and its power."""

    sample_us: NonNegative = 0.0  # after a pass: sampled tokens reach the host
    schedule_us: NonNegative  # one decision a round
    schedule_request_us: NonNegative = 0.0  # of it, for each request of the round
    launch_us: NonNegative = 0.0  # handing a pass to the GPU
    output_us: NonNegative  # handing out a pass's tokens
    output_request_us: NonNegative = 0.0  # of it, for each token
    power_w: NonNegative


class SchedulerConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What policies read; a policy refuses keys that it does not read when a job sets them."""

    max_chunk_tokens: Annotated[int, Meta(ge=64, le=1_048_576)]  # of a sub-batch in a round
    min_chunk_tokens: Annotated[int, Meta(ge=64, le=1_048_576)]
    admit_watermark: Annotated[float, Meta(ge=0, lt=1)]
    horizon: Annotated[int, Meta(ge=1)]  # rounds of a plan that leaves a request out
    selection: Literal["aligned", "all"] = "aligned"
    admission: Literal["memory", "aligned"] = "memory"
    kv_reserve_tokens: Annotated[int, Meta(ge=0, le=1_000_000)] = 0  # booked beyond the prompt at admission
    prefix_sharing: Literal["off", "balanced", "longest"] = "balanced"
    chunking: Literal["aligned", "whole"] = "aligned"  # whether the last prefills are cut to align
    sub_batches: Literal[1, 2] = 2
    step: Count | None = None  # decoding requests added at a time (N); none: by attention type
    alignment: Annotated[float, Meta(ge=0.01, le=100)] = 1.0  # T_PIM / T_GPU that plans aim at
    predictor: Literal["learned", "tables", "oracle"] = "learned"
    token_budget: Annotated[int, Meta(ge=1, le=1_048_576)] = 2048  # of a round, prefill and decode alike
    gpu_kv_share: Annotated[float, Meta(ge=0, le=0.95)] = 0.9  # of GPU memory beside weights: KV that stays
    aging_s: Annotated[float, Meta(gt=0, le=1e6)] = 10.0  # wait that counts like a level of priority
    max_requests: Count | None = None  # residents of a replica at most


#: Configuration struct by (slot section, kind).
DEVICE_KINDS: dict[tuple[str, str], type[Section]] = {
    ("gpu", "gpu"): GpuConfig,
    ("attention", "dimm-pim"): DimmPimConfig,
    ("attention", "hbm-pim"): HbmPimConfig,
    ("attention", "cpu-attention"): CpuAttentionConfig,
    ("attention", "gpu"): GpuAttentionConfig,
    ("link", "interconnect"): LinkConfig,
}


def _beyond(struct: SectionType, base: SectionType) -> tuple[str, ...]:
    return tuple(key for key in struct.__struct_fields__ if key not in base.__struct_fields__)


#: What fits to measurements add to a GPU: to every one, and where attention and all-reduces were measured.
CALIBRATION_KEYS = _beyond(ProfiledGpuConfig, GpuConfig)
MEASURED_KEYS = _beyond(MeasuredGpuConfig, CalibratedGpuConfig)
#: What level `attacc` adds.
ATTACC_KEYS = _beyond(AttAccGpuConfig, GpuConfig)


__all__ = [
    "ATTACC_KEYS",
    "CALIBRATION_KEYS",
    "DEVICE_KINDS",
    "MEASURED_KEYS",
    "AttAccGpuConfig",
    "AttentionSection",
    "CalibratedGpuConfig",
    "CpuAttentionConfig",
    "DimmPimConfig",
    "GpuAttentionConfig",
    "GpuConfig",
    "HbmPimConfig",
    "HostConfig",
    "LinkConfig",
    "MeasuredGpuConfig",
    "ModuleConfig",
    "ProfiledGpuConfig",
    "RanklessConfig",
    "SchedulerConfig",
    "Section",
]

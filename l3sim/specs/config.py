"""What the sections of a machine file may say: one struct a section, every key with its unit.

Devices, orchestrator and clients check against the same structs; that of the memory modules has a file of
its own. Values and their sources stand in `machines/*.yaml` and `gpus/*.yaml`; the only defaults here are
switches, not hardware numbers.
"""

from typing import Annotated, Literal

from msgspec import Meta

from l3sim.specs.attention import AttentionSection
from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.gpu_section import (
    ATTACC_KEYS,
    CALIBRATION_KEYS,
    MEASURED_KEYS,
    AttAccGpuConfig,
    CalibratedGpuConfig,
    GpuConfig,
    MeasuredGpuConfig,
    ProfiledGpuConfig,
)
from l3sim.specs.modules import (
    CpuAttentionConfig,
    GpuAttentionConfig,
    HbmPimConfig,
    ModuleConfig,
    RanklessConfig,
)
from l3sim.specs.pcie import check_rate, check_uplinks
from l3sim.specs.section import (
    Count,
    NonNegative,
    Positive,
    Section,
    Share,
)


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

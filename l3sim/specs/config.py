"""What the sections of a machine file may say: one struct a section, every key with its unit.

Devices, orchestrator and clients check against the same structs; that of the memory modules has a file of
its own. Values and their sources stand in
`machines/*.yaml`; the only defaults here are switches, not hardware numbers.
"""

from typing import Annotated, Literal

from msgspec import Meta

from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.section import Bytes, Count, NonNegative, Positive, Section, Share


class GpuConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Kind `gpu`: tensor-parallel groups of one GPU type, level `roofline`."""

    kind: Literal["gpu"] = "gpu"
    level: Literal["roofline"] = "roofline"
    gpus: Count
    memory_bytes: Bytes  # of one GPU
    memory_reserve_share: Annotated[float, Meta(ge=0, lt=1)]
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


class LinkConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Kind `interconnect`: PCIe per GPU and the host's memory channels, level `roofline`."""

    kind: Literal["interconnect"] = "interconnect"
    level: Literal["roofline"] = "roofline"
    pcie_bytes_per_s: Positive  # each way, one GPU
    pcie_efficiency: Share
    channel_bytes_per_s: Positive
    channel_efficiency: Share
    setup_us: NonNegative
    overlap: Literal["rankset", "off"] = "rankset"
    channel_bus: Literal["half", "full"] = "half"
    active_w: NonNegative  # above idle, of one replica's link while a transfer runs
    idle_w: NonNegative


class HostConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The host: explicit stages of every round, and its power."""

    schedule_us: NonNegative  # between a join and the next round
    output_us: NonNegative  # between the end of a pass and its tokens' stamps
    power_w: NonNegative


class SchedulerConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What policies read; a policy refuses keys that it does not read when a job sets them."""

    max_chunk_tokens: Annotated[int, Meta(ge=64, le=1_048_576)]  # of a sub-batch in a round
    min_chunk_tokens: Annotated[int, Meta(ge=64, le=1_048_576)]
    admit_watermark: Annotated[float, Meta(ge=0, lt=1)]
    horizon: Annotated[int, Meta(ge=1)]  # rounds of a plan that leaves somebody out
    selection: Literal["aligned", "all"] = "aligned"
    admission: Literal["memory", "aligned"] = "memory"


#: Configuration struct by (slot section, kind).
DEVICE_KINDS: dict[tuple[str, str], type[Section]] = {
    ("gpu", "gpu"): GpuConfig,
    ("attention", "dimm-pim"): DimmPimConfig,
    ("link", "interconnect"): LinkConfig,
}

__all__ = [
    "DEVICE_KINDS",
    "DimmPimConfig",
    "GpuConfig",
    "HostConfig",
    "LinkConfig",
    "SchedulerConfig",
    "Section",
]

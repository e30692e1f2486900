"""What crosses between orchestrator and devices: assignments, windows, costs, accounts.

These are the dataclasses behind `proto/l3sim/v1/device.proto`; that file's comments are the contract.
`l3sim.transport.convert.session` maps one to the other; the in-process transport passes them as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from l3sim.placement import DecodePlacement, Layout
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s


class Op(StrEnum):
    """The closed list of operation kinds; on the wire they are strings."""

    EMBED = "embed"
    BLOCK_IN = "block_in"  # norm, QKV
    ATTEND_PREFILL = "attend_prefill"
    ATTEND_DECODE = "attend_decode"
    BLOCK_OUT = "block_out"  # projection, FFN, collectives
    HEAD = "head"  # last norm, LM head, sampling
    TRANSFER_DOWN = "transfer_down"  # q, k, v of decoding requests
    TRANSFER_UP = "transfer_up"  # attention outputs
    TRANSFER_KV = "transfer_kv"  # k, v of prefill chunks


class Role(StrEnum):
    """What a slot is for."""

    GPU = "gpu"
    ATTENTION = "attention"
    LINK = "link"


def needed_operations(role: str, decode: DecodePlacement) -> frozenset[Op]:
    """What the devices of a role must be able to cost for any job, by who attends for decoding requests."""
    attend = frozenset({Op.ATTEND_DECODE})
    if role == Role.ATTENTION:
        return attend
    if role == Role.LINK:
        return frozenset({Op.TRANSFER_DOWN, Op.TRANSFER_UP, Op.TRANSFER_KV})
    dense = frozenset({Op.EMBED, Op.BLOCK_IN, Op.ATTEND_PREFILL, Op.BLOCK_OUT, Op.HEAD})
    return dense if decode is DecodePlacement.ATTENTION else dense | attend


@dataclass(frozen=True, slots=True)
class MemoryRegion:
    """One memory of a device."""

    name: str
    capacity_bytes: int
    granule_bytes: int


#: How KV may be laid over ranks beside by head groups; see `l3sim.placement`.
BLOCK = "block"


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """What a device says of itself before any job.

    Attributes:
        partitions: how KV may be laid over ranks for it, beside by head groups: `BLOCK`, or nothing.
    """

    device_id: str
    role: str
    kind: str
    version: str
    operations: tuple[str, ...]
    domains: tuple[str, ...]
    regions: tuple[MemoryRegion, ...]
    lookahead_rounds: int  # 0: any number
    levels: tuple[str, ...]
    config_schema_json: str
    requested_slot: str = ""
    overrides_json: str = "{}"
    partitions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RankAssignment:
    """Where one rank sits in the machine."""

    replica: int
    rankset: int
    rank: int
    unused: bool = False


@dataclass(frozen=True, slots=True)
class SlotAssignment:
    """One device's place in the machine for one job."""

    device_id: str
    slot: str
    config: dict[str, Any]
    assignments: tuple[RankAssignment, ...] = ()


@dataclass(frozen=True, slots=True)
class Hello:
    """Opens a session: everything that holds for the whole job."""

    protocol_version: int
    job_id: str
    seed: int
    model: ModelShape
    layout: Layout
    slots: tuple[SlotAssignment, ...]


@dataclass(frozen=True, slots=True)
class DeviceReady:
    """A device's answer to Hello."""

    slot: str
    level: str
    lookahead_rounds: int
    domains: tuple[str, ...]
    regions: tuple[MemoryRegion, ...]
    config: dict[str, Any]
    idle_mw: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a prompt that is prefilled in one round."""

    request: int
    tokens: int
    finished_tokens: int
    last: bool


@dataclass(frozen=True, slots=True)
class SubBatch:
    """One pass through all layers.

    Attributes:
        index: 0 or 1.
        decode: decoding requests, int64, shape (n,).
        context: KV tokens that each holds before the first round, int64, shape (n,).
        chunks: prefill pieces.
    """

    index: int
    decode: Int64s
    context: Int64s
    chunks: tuple[Chunk, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens that the fully connected layers see in a round."""
        return len(self.decode) + sum(chunk.tokens for chunk in self.chunks)

    @property
    def requests(self) -> int:
        """Decoding and prefilling."""
        return len(self.decode) + len(self.chunks)

    @property
    def sampled(self) -> int:
        """Tokens that the LM head samples in a round."""
        return len(self.decode) + sum(chunk.last for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class KvPlacement:
    """Where a request's KV begins: its rankset offset and first rank; (ranksets, 0) is `Layout.gpu_place`.

    Attributes:
        prefix, prefix_blocks: its first `prefix_blocks` blocks are those of `prefix`, kept once among all who
            share the prefix at this placement; 0 and 0: it shares nothing.
        held: tokens of KV that it brings along from another placement, for devices without ranks only; those
            with ranks get them as a chunk.
    """

    request: int
    offset: int
    rank: int
    prefix: int = 0
    prefix_blocks: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """The first `rounds` rounds of a window were taken; the rest never happened."""

    window_id: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Window:
    """Up to `rounds` successive rounds of one replica under one plan.

    Applied in the order commits, releases, places, rounds.
    """

    window_id: int
    replica: int
    rounds: int
    sub_batches: tuple[SubBatch, ...]
    places: tuple[KvPlacement, ...] = ()
    releases: tuple[int, ...] = ()
    commits: tuple[Commit, ...] = ()


@dataclass(frozen=True, slots=True)
class OpCost:
    """One operation of one sub-batch, dense over lanes, layer classes and rounds.

    A lane here is one domain of one device; those of attention devices are their ranks: *rank lanes*.

    Attributes:
        device: index into Hello.slots of each lane, shape (lanes,).
        domain: index into that device's domains of each lane, shape (lanes,).
        duration_ps: cost of one layer, int64, shape (lanes, layer_classes, rounds); 0: no work; `rounds`
            is Costs.valid_rounds, or 1 when every round costs the same.
        energy_nj: dynamic energy of one layer over all lanes, int64, shape (layer_classes, rounds).
    """

    op: str
    sub_batch: int
    device: Sequence[int]
    domain: Sequence[int]
    duration_ps: Int64s
    energy_nj: Int64s


@dataclass(frozen=True, slots=True)
class Costs:
    """What a window costs, for all devices of one address.

    Attributes:
        held_bytes: KV bytes of every assigned rank in the order of Hello, once the window's commits, releases
            and places are applied; empty in estimates and where no rank is assigned.
    """

    window_id: int
    valid_rounds: int
    costs: tuple[OpCost, ...]
    held_bytes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What a device found when it checked its level against a more faithful one.

    Attributes:
        windows, calls: looked at.
        gap_ps: the largest difference. gap_ppm: the largest as a share of its call, in millionths, up.
    """

    windows: int = 0
    calls: int = 0
    gap_ps: int = 0
    gap_ppm: int = 0

    def joined(self, other: "Fidelity") -> "Fidelity":
        """Both together."""
        return Fidelity(
            self.windows + other.windows,
            self.calls + other.calls,
            max(self.gap_ps, other.gap_ps),
            max(self.gap_ppm, other.gap_ppm),
        )


@dataclass(frozen=True, slots=True)
class Account:
    """One device's own books.

    Attributes:
        counters: whatever else the device counts over committed rounds, by name with its unit.
    """

    slot: str
    windows: int
    rounds: int
    held_bytes: tuple[int, ...] = ()
    requests: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)
    fidelity: Fidelity = Fidelity()


#: No decoding requests.
NO_REQUESTS: Int64s = np.zeros(0, dtype=np.int64)

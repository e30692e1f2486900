"""Kinds `hbm-pim` and `cpu-attention`: memory modules that each attend whole heads on their own.

A *module* is an HBM stack with its units, or one memory channel of the host with its share of the cores. One
head of a request and layer lies on one module; modules form one rankset, of one rank each, so that transfers
and attention take turns. A timing key of a stack is JEDEC's, as those in `l3sim/specs/rank.py` are.
"""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from l3sim.errors import InvalidInput
from l3sim.specs.attention import Assignment, AttentionSection
from l3sim.specs.layout import DecodePlacement, Layout
from l3sim.specs.model import ModelShape
from l3sim.specs.rank import ChannelConfig, Cycles, PseudoChannelConfig
from l3sim.specs.section import Bytes, Count, NonNegative, Positive, Share
from l3sim.specs.silicon import SILICON_KEYS, Silicon

#: Where prefill makes KV in its place, none is ever on its way: more than any request books.
IN_PLACE = 2**62


class RanklessConfig(AttentionSection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Modules that hold whole heads, each a channel of one rank; and what the machine reads of them."""

    kind: str
    level: str = ""
    modules: Annotated[int, Meta(ge=1, le=4096)]
    module_capacity_bytes: Bytes
    memory_share: Share = 1.0  # of the capacity that KV may use
    n_cmr: Count | None = None  # query heads per KV read; none: all that the units have room for

    @property
    def devices(self) -> int:
        """See AttentionSection.devices."""
        return self.modules

    @property
    def channels(self) -> int:
        """See AttentionSection.channels."""
        return self.modules

    def layout(self, model: ModelShape, tp: int, dp: int) -> Layout:
        """See AttentionSection.layout. A head group is one head."""
        return Layout(
            tp=tp,
            dp=dp,
            ranksets=1,
            ranks=self.replica_channels(dp),
            heads_per_group=1,
            groups=model.kv_heads,
            chips_per_head=1,
            queries_per_read=min(self.n_cmr or model.queries_per_kv, model.queries_per_kv),
        )

    def rank_assignments(self, layout: Layout, device: int) -> list[Assignment]:
        """See AttentionSection.rank_assignments."""
        replica, rank = divmod(device, layout.ranks)
        return [(replica, 0, rank, False)]

    def kv_room_bytes(self, layout: Layout, model: ModelShape, gpu_left_bytes: int = 0) -> int:  # noqa: ARG002
        """See AttentionSection.kv_room_bytes."""
        return max(int(self._whole_bytes(layout, model) * self.memory_share), 0)

    def _whole_bytes(self, layout: Layout, model: ModelShape) -> float:  # noqa: ARG002
        """Of one module, what KV may be a share of."""
        return float(self.module_capacity_bytes)


class ModuleConfig(RanklessConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What both kinds have."""

    level: Literal["fast", "command", "roofline", "ideal"] = "roofline"
    pass_overhead_ns: NonNegative  # commands, or loops, of one head
    module_idle_w: NonNegative

    @property
    def module_bytes_per_s(self) -> float | None:
        """What the units of one module read of KV, efficiency left out; None: the kind does not say."""
        return None

    @property
    def kv_bytes_per_s(self) -> float | None:
        """See AttentionSection.kv_bytes_per_s."""
        rate = self.module_bytes_per_s
        return None if rate is None else self.modules * rate


class HbmPimConfig(ModuleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """HBM stacks with units beside banks, bank groups or at the buffer die; of the GPUs, or of their own."""

    kind: str = "hbm-pim"
    level: Literal["fast", "command", "roofline", "ideal"] = "fast"
    inside_gpu: bool  # the GPUs' own memory: weights, reserve and prefill KV take their part of it
    memory_reserve_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # inside_gpu: as of the GPUs
    prefill_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # inside_gpu: of what is left, for prefill KV
    pu: Literal["bank", "bank-group", "buffer"] = "bank"  # where K and V are multiplied
    pseudo_channels: Annotated[int, Meta(ge=1, le=128)]  # of a stack
    mapping: Literal["head_per_channel", "striped"] = "head_per_channel"  # how heads lie over a stack
    head_pseudo_channels: Count  # head_per_channel: those of one channel, which share a head and its commands
    stack_ids: Count  # of the bank groups of a pseudo channel
    dies: Count  # of a stack, beside its buffer die
    silicon: Silicon  # of a die, and of the buffer die
    channel: ChannelConfig  # a pseudo channel: its timing, shape, buffers and switches
    banks: Annotated[int, Meta(ge=1, le=256)]  # of a pseudo channel, in all its stack ids
    check_fidelity: Annotated[float, Meta(ge=0, le=1)] = 0.0  # share of windows costed by command as well
    stack_score_buffer_bytes: Bytes  # of one stack's buffer die
    softmax_latency_tck: Cycles  # from a chunk's last sum to its first exponential, and to its last S
    softmax_elements_per_s: Positive  # of one stack's buffer die
    cell_pj_per_bit: NonNegative  # between cells and bank, opening and closing the row included
    group_pj_per_bit: NonNegative  # between bank and bank group
    die_pj_per_bit: NonNegative  # between bank group and TSVs
    tsv_pj_per_bit: NonNegative  # through the TSVs
    mac_pj: NonNegative  # one FP16 multiply-add of a unit
    softmax_pj: NonNegative  # one exponential, its sum and its scaling

    def check(self, where: str) -> None:
        """See Section.check."""
        self.channel.check_interval(where)
        if self.pseudo_channels % self.head_pseudo_channels:
            text = f"must divide the {self.pseudo_channels} pseudo channels, got {self.head_pseudo_channels}"
            raise InvalidInput(("attention.head_pseudo_channels", f"{where}: {text}"))

    @property
    def heads_at_once(self) -> int:
        """Heads that a stack attends at a time: one on each channel, or one on all."""
        striped = self.mapping == "striped"
        return 1 if striped else self.pseudo_channels // self.head_pseudo_channels

    def layout(self, model: ModelShape, tp: int, dp: int) -> Layout:
        """See AttentionSection.layout. On one channel, a token fills columns of all banks of a group."""
        layout = super().layout(model, tp, dp)
        if self.mapping == "striped" or self.pu == "buffer":
            return layout
        filled = self.banks // self.channel.bank_groups * self.channel.column_bytes
        return replace(layout, kv_row_bytes=filled)

    def reads(self, key: str) -> bool:
        """See Section.reads."""
        if key in SILICON_KEYS or (key == "head_pseudo_channels" and self.mapping == "striped"):
            return False
        if self.level == "ideal":
            return key not in (_COMMAND_ONLY | _NOT_IDEAL)
        return key not in (_ROOFLINE_ONLY if self.level != "roofline" else _COMMAND_ONLY)

    def _whole_bytes(self, layout: Layout, model: ModelShape) -> float:
        """See RanklessConfig. Inside GPUs reserve, weights and prefill KV come first, evenly over stacks."""
        whole = float(self.module_capacity_bytes)
        if self.inside_gpu:
            whole = whole * (1 - self.memory_reserve_share) - model.weight_bytes / layout.ranks
            whole *= 1 - self.prefill_share
        return whole

    def prefill_bytes(self, left_bytes: int) -> int:
        """See AttentionSection.prefill_bytes. Inside GPUs the rest is for KV that is attended."""
        return int(left_bytes * self.prefill_share) if self.inside_gpu else left_bytes

    @property
    def beside_gpus(self) -> bool:
        """See AttentionSection.beside_gpus."""
        return not self.inside_gpu

    @property
    def units(self) -> int:
        """Processing units of a stack."""
        of_channel = {"bank": self.banks, "bank-group": self.channel.bank_groups, "buffer": 1}
        return self.pseudo_channels * of_channel[self.pu]

    @property
    def unit_bytes_per_s(self) -> float:
        """A column every CCD_L or MAC interval, or every CCD_S from bank groups in turn."""
        channel = self.channel
        cycles = channel.ccd_s_tck if self.pu == "buffer" else channel.mac_tck
        return channel.column_bytes * 1e12 / (channel.tck_ps * cycles)

    @property
    def module_bytes_per_s(self) -> float:
        """See ModuleConfig."""
        return self.units * self.unit_bytes_per_s

    @property
    def bus_bytes_per_s(self) -> float:
        """What one stack gives to the outside."""
        channel = self.channel
        burst_ps = channel.tck_ps * channel.ccd_s_tck
        return self.pseudo_channels * channel.column_bytes * 1e12 / burst_ps


_ROOFLINE_ONLY = frozenset({"pass_overhead_ns"})
_ROOFLINE_TOO = {
    *("tck_ps", "ccd_s_tck", "ccd_l_tck", "mac_interval_tck", "rcd_tck", "rp_tck", "column_bytes"),
    *("row_bytes", "bank_groups", "pu", "softmax_elements_per_s"),
}
_COMMAND_ONLY = frozenset(
    {
        *PseudoChannelConfig.__struct_fields__,
        *("check_fidelity", "stack_score_buffer_bytes", "softmax_latency_tck", "stack_ids", "dies"),
        *("group_pj_per_bit", "die_pj_per_bit", "tsv_pj_per_bit"),
    }
    - _ROOFLINE_TOO
)
#: What bandwidth alone does not know.
_NOT_IDEAL = frozenset(
    {"pass_overhead_ns", "rcd_tck", "rp_tck", "row_bytes", "softmax_elements_per_s", "n_cmr"}
)


class CpuAttentionConfig(ModuleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The host's cores and memory channels; a module is a channel with an even share of the cores."""

    kind: str = "cpu-attention"
    level: Literal["roofline", "ideal"] = "roofline"
    module_active_w: NonNegative  # above idle, while it attends
    memory_bytes_per_s: Positive  # of one channel
    memory_efficiency: Share
    cores: Count  # of the host
    core_flops: Positive  # FP32 of one core
    compute_efficiency: Share
    cache_bytes: Bytes  # of one core: holds queries and outputs of the heads that one KV read serves

    def reads(self, key: str) -> bool:
        """See Section.reads."""
        return self.level != "ideal" or key not in _CPU_NOT_IDEAL

    @property
    def module_bytes_per_s(self) -> float:
        """See ModuleConfig."""
        return self.memory_bytes_per_s


#: What bandwidth alone does not know.
_CPU_NOT_IDEAL = frozenset(
    {
        "memory_efficiency",
        "cores",
        "core_flops",
        "compute_efficiency",
        "cache_bytes",
        "pass_overhead_ns",
        "n_cmr",
    }
)


class GpuAttentionConfig(AttentionSection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Kind `gpu` in the attention section: no device of its own, the GPUs attend, with KV in their memory."""

    placement: ClassVar[DecodePlacement] = DecodePlacement.GPU

    kind: Literal["gpu"] = "gpu"
    memory_share: Share = 1.0  # of what reserve and weights leave, that KV may use

    @property
    def devices(self) -> int:
        """See AttentionSection.devices."""
        return 0

    @property
    def channels(self) -> int:
        """See AttentionSection.channels."""
        text = "the GPUs attend, so there are no channels; use another machine"
        raise InvalidInput(("attention.kind", text))

    def layout(self, model: ModelShape, tp: int, dp: int) -> Layout:
        """See AttentionSection.layout. A replica's GPUs are one rank, of all heads."""
        return Layout(tp, dp, 1, 1, model.kv_heads, 1, 1, model.queries_per_kv, decode=DecodePlacement.GPU)

    def kv_room_bytes(self, layout: Layout, model: ModelShape, gpu_left_bytes: int = 0) -> int:  # noqa: ARG002
        """See AttentionSection.kv_room_bytes."""
        return int(gpu_left_bytes * self.memory_share)

    def prefill_bytes(self, left_bytes: int) -> int:  # noqa: ARG002
        """See AttentionSection.prefill_bytes. KV is made where it stays."""
        return IN_PLACE

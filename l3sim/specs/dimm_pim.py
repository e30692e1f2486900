"""Kind `dimm-pim`: DIMMs with processing units beside the DRAM banks.

What one rank is, timing and units, stands in `l3sim/specs/rank.py`; here is what modules add.
"""

from math import lcm
from typing import Annotated, Literal

from msgspec import Meta

from l3sim.errors import InvalidInput
from l3sim.specs.attention import Assignment, AttentionSection
from l3sim.specs.layout import Layout
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.specs.rank import RankConfig
from l3sim.specs.section import Bytes, Count, NonNegative, Positive, Share
from l3sim.specs.silicon import SILICON_KEYS, Silicon

#: Tokens of a stripe, up to whole blocks: ours, by measurement (docs/kv.md).
STRIPE_TOKENS = 4096


class DimmPimConfig(RankConfig, AttentionSection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Modules, their processing units, and the switches of a job."""

    kind: str = "dimm-pim"
    level: Literal["fast", "command", "roofline", "ideal"] = "fast"
    modules: Annotated[int, Meta(ge=2, le=4096)]
    modules_per_channel: Annotated[int, Meta(ge=1, le=8)]
    ranks_per_module: Annotated[int, Meta(ge=1, le=8)]
    rank_capacity_bytes: Bytes
    capacity_bytes: Bytes | None = None  # of the whole machine, instead of all ranks in use
    memory_share: Share = 1.0  # of the capacity that KV may use
    ranksets: Count | None = None  # use only the first N
    kv_block_tokens: Count | None = None  # of a head group's KV block; none: what fills one row of all banks
    partition: Literal["head", "block"] | None = None  # a head group's KV of a layer: one rank, or stripes
    stripe_tokens: Count | None = None  # partition block: what goes to one rank before the next; none: ours
    n_hc: Annotated[int, Meta(ge=1, le=64)] | None = None  # chips per head; none: by `default_chips`
    n_cmr: Count | None = None  # query heads per KV read; none: the model's queries per KV head
    pu: Literal["bank", "rank"] = "bank"  # where K and V are multiplied
    column_bytes: Annotated[int, Meta(ge=1, le=64)]  # of one burst of one chip
    check_fidelity: Annotated[float, Meta(ge=0, le=1)] = 0.0  # share of windows costed by command as well
    silicon: Silicon  # of a chip
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
    rank_active_w: NonNegative  # levels roofline and ideal: above idle, while a rank attends
    module_idle_w: NonNegative

    @property
    def may_stripe(self) -> bool:
        """See AttentionSection.may_stripe."""
        return self.partition is None

    def reads(self, key: str) -> bool:
        """See Section.reads."""
        if key in SILICON_KEYS or (key == "stripe_tokens" and self.partition != "block"):
            return False
        if self.level == "ideal":
            return key not in (_COMMAND_ONLY | _NOT_IDEAL)
        return key not in (_ROOFLINE_ONLY if self.level != "roofline" else _COMMAND_ONLY)

    def check(self, where: str) -> None:
        """See Section.check."""
        self.check_interval(where)
        _check_currents(self, where)
        if self.modules % self.modules_per_channel:
            text = (
                f"must be a multiple of modules_per_channel ({self.modules_per_channel}), got {self.modules}"
            )
            raise InvalidInput(("attention.modules", f"{where}: {text}"))
        if self.n_hc is not None and (self.n_hc & (self.n_hc - 1) or self.n_hc > self.chips_per_rank):
            text = f"must be a power of two up to chips_per_rank ({self.chips_per_rank}), got {self.n_hc}"
            raise InvalidInput(("attention.n_hc", f"{where}: {text}"))
        slots, wanted = self.slots_per_channel, self.ranksets
        if wanted is not None and (wanted > slots * self.ranks_per_module or self.modules % slots):
            built = self.modules_per_channel * self.ranks_per_module
            text = (
                f"{where}: {wanted} ranksets need {wanted}/{self.ranks_per_module} modules "
                f"a channel, which must divide the {self.modules} modules; use up to {built}"
            )
            raise InvalidInput(("attention.ranksets", text))

    @property
    def devices(self) -> int:
        """See AttentionSection.devices."""
        return self.modules

    @property
    def slots_per_channel(self) -> int:
        """Modules of one channel: as built, or as many as `ranksets` asks for beyond that."""
        built = self.modules_per_channel * self.ranks_per_module
        if self.ranksets is not None and self.ranksets > built:
            return self.ranksets // self.ranks_per_module
        return self.modules_per_channel

    @property
    def channels(self) -> int:
        """See AttentionSection.channels."""
        return self.modules // self.slots_per_channel

    @property
    def rankset_count(self) -> int:
        """Ranksets in use: all that are built, or as many as the machine file keeps."""
        built = self.slots_per_channel * self.ranks_per_module
        return min(self.ranksets or built, built)

    def layout(self, model: ModelShape, tp: int, dp: int) -> Layout:
        """See AttentionSection.layout. A head group fills the chips of a rank."""
        reads = self.n_cmr if self.n_cmr is not None else model.queries_per_kv
        chips = self.n_hc if self.n_hc is not None else default_chips(self, model, reads)
        per_group = self.chips_per_rank // chips
        row_bytes = self.row_bytes * self.banks_per_chip * self.chips_per_rank
        block_tokens = _block_tokens(self, max(row_bytes // (per_group * model.head_kv_bytes // 2), 1))
        return Layout(
            tp=tp,
            dp=dp,
            ranksets=self.rankset_count,
            ranks=self.replica_channels(dp),
            heads_per_group=per_group,
            groups=-(-model.kv_heads // per_group),
            chips_per_head=chips,
            queries_per_read=reads,
            kv_block_tokens=block_tokens,
            kv_row_bytes=row_bytes,
            stripe_tokens=_stripe_tokens(self, block_tokens),
        )

    def rank_assignments(self, layout: Layout, device: int) -> list[Assignment]:
        """See AttentionSection.rank_assignments.

        Module m sits on channel m div s at slot m mod s (s modules a channel); its rank i belongs to rankset
        ranks_per_module * slot + i; replica d owns `layout.ranks` channels from d * layout.ranks on.
        """
        channel, slot = divmod(device, self.slots_per_channel)
        replica, rank = divmod(channel, layout.ranks)
        first = self.ranks_per_module * slot
        ranksets = range(first, first + self.ranks_per_module)
        return [(replica, j, rank, j >= layout.ranksets) for j in ranksets]

    def kv_room_bytes(self, layout: Layout, model: ModelShape, gpu_left_bytes: int = 0) -> int:  # noqa: ARG002
        """See AttentionSection.kv_room_bytes."""
        whole = self.rank_capacity_bytes
        if self.capacity_bytes is not None:
            whole = self.capacity_bytes // (layout.dp * layout.ranksets * layout.ranks)
        return int(whole * self.memory_share)

    @property
    def kv_bytes_per_s(self) -> float:
        """See AttentionSection.kv_bytes_per_s."""
        rank = self.rank_bytes_per_s
        if self.pu == "bank":
            rank = self.chips_per_rank * self.banks_per_chip * self.bank_bytes_per_s
        return self.channels * self.rankset_count * rank


def chips_per_head(pim: DimmPimConfig, model: ModelShape, queries_per_read: int) -> int:
    """N_hc: the largest power of two up to the chips of a rank that leaves no bubble, at least 1.

    N_hc <= E_h * B_rk * ceil(N_gqa / N_cmr) / (B_bk * N_bk * N_gqa * N_chips), with B_rk in partial sums
    a second and B_bk in FP16 elements a second (arXiv 2504.17584).
    """
    sums_per_s = pim.rank_bytes_per_s / pim.result_bytes
    elements_per_s = pim.bank_bytes_per_s / ELEMENT_BYTES
    queries = model.queries_per_kv
    passes = -(-queries // queries_per_read)
    bound = model.head_size * sums_per_s * passes
    bound /= elements_per_s * pim.banks_per_chip * queries * pim.chips_per_rank
    chips = 1
    while chips * 2 <= min(bound, pim.chips_per_rank):
        chips *= 2
    return chips


def default_chips(pim: DimmPimConfig, model: ModelShape, queries_per_read: int) -> int:
    """N_hc where none is set: the largest that is allowed up to what is wanted, else the least beyond it.

    Wanted is the bubble-free bound, or more where the model has fewer KV heads than would fill the chips: a
    group that is partly empty takes as much time and memory as a full one.
    """
    chips = [1 << i for i in range(pim.chips_per_rank.bit_length()) if pim.chips_per_rank % (1 << i) == 0]
    bound = chips_per_head(pim, model, queries_per_read)
    wanted = max(bound, -(-pim.chips_per_rank // model.kv_heads))
    allowed = [count for count in chips if fits(pim, model, count)]
    if not allowed:
        return bound
    return max((count for count in allowed if count <= wanted), default=min(allowed))


def fits(pim: DimmPimConfig, model: ModelShape, chips: int) -> bool:
    """Whether heads may lie on so many chips: the rules by which the command level refuses one."""
    elements, rest = divmod(model.head_size, chips)
    column, queries = pim.column_bytes // ELEMENT_BYTES, model.queries_per_kv
    if rest or elements % column or elements % pim.banks_per_chip:
        return False
    columns, token, dims = (
        pim.row_bytes // pim.column_bytes,
        elements // column,
        elements // pim.banks_per_chip,
    )
    if max(token, dims) > columns:
        return False
    outputs = min(pim.result_buffer_bytes // (dims * pim.result_bytes), queries)
    if not outputs or pim.result_buffer_bytes < queries * pim.result_bytes:
        return False
    if pim.shared_buffer_bytes - queries * elements * ELEMENT_BYTES < column * outputs * ELEMENT_BYTES:
        return False
    block = lcm(columns // token * pim.banks_per_chip, columns // dims * column)
    scores = pim.score_buffer_bytes // (ELEMENT_BYTES * (pim.chips_per_rank // chips) * queries)
    return int(scores) >= block


def _check_currents(pim: DimmPimConfig, where: str) -> None:
    """Refuse currents by which a command would give energy back.

    Raises:
        InvalidInput: naming the key.
    """
    standing = (pim.idd3n_ma * pim.ras_tck + pim.idd2n_ma * (pim.rc_tck - pim.ras_tck)) / max(pim.rc_tck, 1)
    least = {
        "idd0_ma": (standing, "what idd3n_ma and idd2n_ma draw over the same tRC"),
        "idd3n_ma": (pim.idd2n_ma, "idd2n_ma"),
        "idd4r_ma": (pim.idd3n_ma, "idd3n_ma"),
        "idd4w_ma": (pim.idd3n_ma, "idd3n_ma"),
        "idd5b_ma": (pim.idd2n_ma, "idd2n_ma"),
    }
    for key, (floor, why) in least.items():
        if getattr(pim, key) < floor:
            text = f"{getattr(pim, key):g} mA are less than {floor:.4g} mA, {why}"
            text += "; take all currents of one data sheet"
            raise InvalidInput((f"attention.{key}", f"{where}: {text}"))


def _block_tokens(pim: DimmPimConfig, row_tokens: int) -> int:
    """Tokens of a block: as configured, or what a row holds.

    Raises:
        InvalidInput: rows would be left that neither one block nor several fill.
    """
    tokens = row_tokens if pim.kv_block_tokens is None else pim.kv_block_tokens
    if tokens % row_tokens and row_tokens % tokens:
        text = f"a row of all banks holds {row_tokens} tokens of a head group; use a divisor or a multiple"
        raise InvalidInput(("attention.kv_block_tokens", f"{text} of that, not {tokens}"))
    return tokens


def _stripe_tokens(pim: DimmPimConfig, block_tokens: int) -> int:
    """Tokens of a stripe; 0 where there are none.

    Raises:
        InvalidInput: a stripe would end within a block.
    """
    if pim.partition != "block":
        return 0
    ours = -(-STRIPE_TOKENS // block_tokens) * block_tokens
    tokens = ours if pim.stripe_tokens is None else pim.stripe_tokens
    if tokens % block_tokens:
        text = f"a KV block has {block_tokens} tokens (attention.kv_block_tokens)"
        raise InvalidInput(("attention.stripe_tokens", f"{text}; use a multiple of that, not {tokens}"))
    return tokens


_ROOFLINE_ONLY = frozenset({"pass_overhead_ns", "rank_active_w"})
_ROOFLINE_READS = frozenset(
    {
        *("tck_ps", "bl_tck", "ccd_s_tck", "ccd_l_tck", "mac_interval_tck", "rcd_tck", "rp_tck"),
        "chips_per_rank",
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
#: What bandwidth alone does not know.
_NOT_IDEAL = frozenset(
    {"pass_overhead_ns", "rcd_tck", "rp_tck", "pipelining", "result_bytes", "softmax_elements_per_s", "n_cmr"}
)

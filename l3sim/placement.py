"""Where KV lies: ranksets, ranks, head groups.

A *rankset* is one rank from every channel. Replica d of DP owns channels [d*C/DP, (d+1)*C/DP), which is
`ranks` ranks in each of `ranksets` ranksets. A *head group* is `heads_per_group` KV heads of one request
and layer; it fills one rank's chips in lockstep. A request placed at (offset o, rank b) has

    layer l, head group g   on rankset (o + l) mod ranksets, rank (b + g) mod ranks

            layer 0        layer 1        layer 2        layer 3      (o = 1, b = 0, 2 groups)
    R_0   .  .  .  .     .  .  .  .     .  .  .  .     g0 g1 .  .
    R_1   g0 g1 .  .     .  .  .  .     .  .  .  .     .  .  .  .
    R_2   .  .  .  .     g0 g1 .  .     .  .  .  .     .  .  .  .
    R_3   .  .  .  .     .  .  .  .     g0 g1 .  .     .  .  .  .
    rank  0  1  2  3     0  1  2  3     0  1  2  3     0  1  2  3

so every rankset moves and computes the same share, and costs repeat with l mod ranksets.
Source: arXiv 2504.17584, rankset-granular overlap; the formula is our reading of it.

Tokens of a head group come in *blocks*. By default a block is what one row of all banks and chips of the rank
holds, once for K and once for V, so that no row is shared and an all-bank command reads one request's KV:

    tokens       0 ... B-1   B ... 2B-1  2B ... (one token of it)
    K rows      [  row 7  ] [  row 9  ] [ row 30: the rest is lost until the request grows ]
    V rows      [  row 8  ] [  row 10 ] [ row 31 ]             B = row bytes x banks x N_hc / (2 x head size)
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.specs.config import (
    AttentionConfig,
    DimmPimConfig,
    GpuAttentionConfig,
    HbmPimConfig,
    ModuleConfig,
    RanklessConfig,
)
from l3sim.specs.machine import slots_per_channel
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.units import Int64s


@dataclass(frozen=True)
class Layout:
    """How one job is laid over the machine.

    Attributes:
        tp, dp: tensor-parallel GPUs of a replica, and replicas.
        ranksets, ranks: of a replica; `ranks` in each rankset (= its channels).
        heads_per_group: KV heads that fill one rank's chips.
        groups: head groups of one request in one layer.
        chips_per_head: N_hc; 0 where the GPUs attend, 1 where modules have no chips.
        queries_per_read: N_cmr, query heads that one KV read serves.
        kv_block_tokens: tokens of a block of KV, the unit in which a head group's KV is given room.
        kv_row_bytes: one row of all banks and chips of a rank, the unit in which blocks take memory.
    """

    tp: int
    dp: int
    ranksets: int
    ranks: int
    heads_per_group: int
    groups: int
    chips_per_head: int
    queries_per_read: int
    kv_block_tokens: int = 1
    kv_row_bytes: int = 1

    @property
    def on_gpu(self) -> bool:
        """Whether decode attention is the GPUs' (placement `gpu`)."""
        return self.chips_per_head == 0

    @cached_property
    def group_counts(self) -> Int64s:
        """Head groups of one layer on rank r of a request whose first rank is b: shape (b, r)."""
        full, rest = divmod(self.groups, self.ranks)
        first = np.arange(self.ranks)
        extra = (first[None, :] - first[:, None]) % self.ranks < rest
        return full + extra.astype(np.int64)

    def layer_counts(self, layers: int) -> Int64s:
        """Layers that lie on rankset j of a request with offset o: shape (o, j)."""
        counts = np.zeros((self.ranksets, self.ranksets), dtype=np.int64)
        for layer in range(layers):
            for offset in range(self.ranksets):
                counts[offset, (offset + layer) % self.ranksets] += 1
        return counts

    def pieces(self, layers: int) -> Int64s:
        """(layer, head group) pairs of a request at placement p that lie on rank r: shape (p, r).

        Placements count as o * ranks + b, ranks as j * ranks + r.
        """
        counts = self.layer_counts(layers)[:, None, :, None] * self.group_counts[None, :, None, :]
        places = self.ranksets * self.ranks
        return counts.reshape(places, places)

    def block_bytes(self, model: ModelShape) -> int:
        """Bytes of one block of one head group, K and V: whole rows, or a whole share of a row.

        A group takes all its chips, also when heads are too few to use them all: they run in lockstep.
        """
        half = self.kv_block_tokens * self.heads_per_group * model.head_kv_bytes // 2
        row = self.kv_row_bytes
        return 2 * (row // (row // half) if half <= row else -(-half // row) * row)

    def blocks(self, tokens: Int64s) -> Int64s:
        """Blocks that so many tokens of a head group take, any shape."""
        return -(-tokens // self.kv_block_tokens)

    def group_heads(self, kv_heads: int) -> Int64s:
        """KV heads in each head group: shape (groups,); the last may be short."""
        heads = np.full(self.groups, self.heads_per_group, dtype=np.int64)
        heads[-1] = kv_heads - self.heads_per_group * (self.groups - 1)
        return heads

    def channel_heads(self, kv_heads: int) -> Int64s:
        """KV heads of one layer on rank (= channel) r of a request whose first rank is b: shape (b, r)."""
        counts = np.zeros((self.ranks, self.ranks), dtype=np.int64)
        for group, heads in enumerate(self.group_heads(kv_heads)):
            for first in range(self.ranks):
                counts[first, (first + group) % self.ranks] += heads
        return counts


def layout_of(pim: AttentionConfig, model: ModelShape, tp: int, dp: int) -> Layout:
    """Lay a job over a machine's attention modules, or over its GPUs: one rank a replica, of all heads.

    Raises:
        InvalidInput: channels are not a multiple of `dp`, or blocks do not go with rows.
    """
    if isinstance(pim, GpuAttentionConfig):
        return Layout(tp, dp, 1, 1, model.kv_heads, 1, 0, model.queries_per_kv)
    if isinstance(pim, RanklessConfig):
        return Layout(
            tp=tp,
            dp=dp,
            ranksets=1,
            ranks=replica_channels(pim, dp),
            heads_per_group=1,
            groups=model.kv_heads,
            chips_per_head=1,
            queries_per_read=min(pim.n_cmr or model.queries_per_kv, model.queries_per_kv),
        )
    reads = pim.n_cmr if pim.n_cmr is not None else model.queries_per_kv
    chips = pim.n_hc if pim.n_hc is not None else chips_per_head(pim, model, reads)
    per_group = pim.chips_per_rank // chips
    row_bytes = pim.row_bytes * pim.banks_per_chip * pim.chips_per_rank
    return Layout(
        tp=tp,
        dp=dp,
        ranksets=ranksets_of(pim),
        ranks=replica_channels(pim, dp),
        heads_per_group=per_group,
        groups=-(-model.kv_heads // per_group),
        chips_per_head=chips,
        queries_per_read=reads,
        kv_block_tokens=_block_tokens(pim, max(row_bytes // (per_group * model.head_kv_bytes // 2), 1)),
        kv_row_bytes=row_bytes,
    )


def ranksets_of(pim: AttentionConfig) -> int:
    """Ranksets in use: all that are built, or as many as the machine file keeps; one where there are none."""
    if not isinstance(pim, DimmPimConfig):
        return 1
    built = slots_per_channel(pim) * pim.ranks_per_module
    return min(pim.ranksets or built, built)


def replica_channels(pim: AttentionConfig, dp: int) -> int:
    """Channels of one of `dp` replicas, which are the ranks of each of its ranksets.

    Raises:
        InvalidInput: channels are not a multiple of `dp`.
    """
    if isinstance(pim, GpuAttentionConfig):
        raise InvalidInput(
            ("attention.kind", "the GPUs attend, so there are no channels; use another machine")
        )
    channels = pim.modules if isinstance(pim, RanklessConfig) else pim.modules // slots_per_channel(pim)
    if channels % dp:
        raise InvalidInput(
            ("dp", f"{channels} memory channels cannot be shared by {dp} replicas; use a divisor")
        )
    return channels // dp


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


def kv_bytes_per_s(pim: DimmPimConfig | ModuleConfig) -> float:
    """What the units of the whole machine read of KV, of all ranks in use."""
    if isinstance(pim, ModuleConfig):
        return pim.modules * pim.module_bytes_per_s
    channels = pim.modules // slots_per_channel(pim)
    rank = pim.rank_bytes_per_s
    if pim.pu == "bank":
        rank = pim.chips_per_rank * pim.banks_per_chip * pim.bank_bytes_per_s
    return channels * ranksets_of(pim) * rank


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


def rank_assignments(
    pim: DimmPimConfig | RanklessConfig, layout: Layout, module: int
) -> list[tuple[int, int, int, bool]]:
    """(replica, rankset, rank, unused) of each rank of a module.

    Module m sits on channel m div s at slot m mod s (s modules a channel); its rank i belongs to rankset
    ranks_per_module * slot + i; replica d owns `layout.ranks` channels from d * layout.ranks on. Modules
    without ranks are channels of one rank.
    """
    if isinstance(pim, RanklessConfig):
        replica, rank = divmod(module, layout.ranks)
        return [(replica, 0, rank, False)]
    channel, slot = divmod(module, slots_per_channel(pim))
    replica, rank = divmod(channel, layout.ranks)
    first = pim.ranks_per_module * slot
    ranksets = range(first, first + pim.ranks_per_module)
    return [(replica, j, rank, j >= layout.ranksets) for j in ranksets]


def rank_room_bytes(pim: DimmPimConfig, layout: Layout) -> int:
    """KV bytes that one rank may hold."""
    whole = pim.rank_capacity_bytes
    if pim.capacity_bytes is not None:
        whole = pim.capacity_bytes // (layout.dp * layout.ranksets * layout.ranks)
    return int(whole * pim.memory_share)


def kv_room_bytes(config: DimmPimConfig | RanklessConfig, layout: Layout, model: ModelShape) -> int:
    """KV bytes that one rank, or one module without ranks, may hold.

    Memory inside GPUs holds the reserve and the replica's weights first, evenly over its stacks; a share of
    what is left is for prefill KV. Nothing may be left.
    """
    if not isinstance(config, RanklessConfig):
        return rank_room_bytes(config, layout)
    whole = float(config.module_capacity_bytes)
    if isinstance(config, HbmPimConfig) and config.inside_gpu:
        whole = whole * (1 - config.memory_reserve_share) - model.weight_bytes / layout.ranks
        whole *= 1 - config.prefill_share
    return max(int(whole * config.memory_share), 0)

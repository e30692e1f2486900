"""How one job is laid over a machine: the numbers that all its devices share.

Where KV lies by them is drawn in `l3sim/placement.py`.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from l3sim.specs.model import ModelShape
from l3sim.units import Int64s


class DecodePlacement(StrEnum):
    """Who attends for decoding requests, and so keeps their KV."""

    ATTENTION = "attention"  # devices of that role
    GPU = "gpu"  # the GPUs, in their own memory: no rank is assigned, and nothing crosses a link
    BOTH = "both"  # devices of that role; for requests at the placement `Layout.gpu_place` the GPUs


@dataclass(frozen=True)
class Layout:
    """How one job is laid over the machine.

    Attributes:
        tp, dp: tensor-parallel GPUs of a replica, and replicas.
        ranksets, ranks: of a replica; `ranks` in each rankset (= its channels).
        heads_per_group: KV heads that fill one rank's chips.
        groups: head groups of one request in one layer.
        chips_per_head: N_hc; 1 where modules have no chips.
        queries_per_read: N_cmr, query heads that one KV read serves.
        kv_block_tokens: tokens of a block of KV, the unit in which a head group's KV is given room.
        kv_row_bytes: one row of all banks and chips of a rank, the unit in which blocks take memory.
        decode: who runs decode attention.
        stripe_tokens: tokens of a stripe, the unit in which a head group's KV of a layer goes round the ranks
            of its rankset; whole blocks. 0: all of it lies on one rank.
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
    decode: DecodePlacement = DecodePlacement.ATTENTION
    stripe_tokens: int = 0

    @property
    def striped(self) -> bool:
        """Whether KV of a head group and layer lies on several ranks (`attention.partition: block`)."""
        return self.stripe_tokens > 0

    @property
    def steps(self) -> int:
        """Ranks, counted from a head group's first one, on which its KV of a layer may lie."""
        return self.ranks if self.striped else 1

    @property
    def stripe_blocks(self) -> int:
        """Blocks of a stripe; 0: no stripes."""
        return self.stripe_tokens // self.kv_block_tokens

    def step_tokens(self, tokens: Int64s) -> Int64s:
        """Of a head group's first so many tokens, those q ranks from its first one: shape (..., steps)."""
        return dealt(tokens, self.stripe_tokens, self.steps)

    def step_blocks(self, blocks: Int64s) -> Int64s:
        """The same of its first so many blocks."""
        return dealt(blocks, self.stripe_blocks, self.steps)

    def ranks_held(self, tokens: Int64s) -> Int64s:
        """Ranks on which so many tokens of a head group lie, any shape."""
        if not self.striped:
            return np.minimum(tokens, 1)
        return np.minimum(-(-tokens // self.stripe_tokens), self.ranks)

    @property
    def on_gpu(self) -> bool:
        """Whether decode attention is the GPUs' alone (placement `gpu`)."""
        return self.decode is DecodePlacement.GPU

    @property
    def gpu_place(self) -> int | None:
        """The placement of requests that attend on the GPUs beside ranks: one behind those of ranks.

        Its offset is `ranksets` and its first rank 0. None: there is none.
        """
        return self.ranksets * self.ranks if self.decode is DecodePlacement.BOTH else None

    @property
    def places(self) -> int:
        """Placements that a request may have."""
        return self.ranksets * self.ranks + (self.decode is DecodePlacement.BOTH)

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


def dealt(count: Int64s, stripe: int, steps: int) -> Int64s:
    """Of the first `count` of a row, those that step q has: `stripe` at a time go to each in turn.

    count = full * stripe * steps + rest; step q has full * stripe + clip(rest - q * stripe, 0, stripe).

    Args:
        count: any shape. stripe: 0: step 0, the only one, has all.

    Returns: shape (..., steps).
    """
    if not stripe:
        return count[..., None]
    full, rest = np.divmod(count, stripe * steps)
    own = np.clip(rest[..., None] - stripe * np.arange(steps), 0, stripe)
    dealt_out: Int64s = full[..., None] * stripe + own
    return dealt_out

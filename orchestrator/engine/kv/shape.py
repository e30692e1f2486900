"""What a layout makes of a replica's memory: bytes and blocks by placement and rank.

Ranks count as rankset * ranks + rank, placements as offset * ranks + first rank; there are P of each. Where
GPUs attend beside ranks, `Layout.gpu_place` is one placement more, and GPU memory counts as the rank behind
the others, filled token by token: a block there is one token.
"""

from dataclasses import dataclass

import numpy as np

from l3sim.orchestrator.engine.kv.kernels import blocks_of
from l3sim.orchestrator.engine.kv.stripes import longest
from l3sim.placement import Layout
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s

#: No request is as long, no memory as large.
NO_BOUND = 2**62


@dataclass(frozen=True)
class KvShape:
    """Tables shared by the ledgers of a job.

    Attributes:
        pieces: (layer, head group) pairs of a request at placement p that lie on rank r, shape (P, P).
        piece_bytes: of one block of one such pair, K and V.
        block_bytes: bytes that a block of a request at placement p takes on rank r, shape (P, P); where KV is
            striped, a block that lies on the first rank of its head group.
        layer_bytes: of a block of one head group of offset o on rankset j, all layers there, shape (R, R).
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
        room_bytes: of each rank, shape (P,).
        fit_tokens: the longest request that an empty replica holds at placement p, whole blocks; shape (P,).
            Not bounded in GPU memory, which promises nothing: what outgrows it moves to ranks.
    """

    layout: Layout
    pieces: Int64s
    piece_bytes: int
    block_bytes: Int64s
    layer_bytes: Int64s
    groups: Int64s
    room_bytes: Int64s
    fit_tokens: Int64s

    @classmethod
    def of(cls, layout: Layout, model: ModelShape, room_bytes: Int64s) -> "KvShape":
        """Derive the tables from the layout and each rank's room."""
        pieces, piece_bytes = layout.pieces(model.layers), layout.block_bytes(model)
        block_bytes = pieces * piece_bytes
        layer_bytes = layout.layer_counts(model.layers) * piece_bytes
        ranks = room_bytes[: len(pieces)]
        if layout.striped:
            blocks = longest(block_bytes, ranks, layout.stripe_blocks, layout.ranks)
        else:
            # Placements that leave a rank out are not bounded by it.
            each = np.where(pieces > 0, ranks[None, :] // np.maximum(block_bytes, 1), NO_BOUND)
            blocks = each.min(axis=1)
        fits = blocks * layout.kv_block_tokens
        if layout.gpu_place is not None:
            pieces = _with(pieces, model.layers * layout.groups)
            block_bytes = _with(block_bytes, model.kv_bytes_per_token)
            fits = np.append(fits, NO_BOUND)
        return cls(
            layout, pieces, piece_bytes, block_bytes, layer_bytes, layout.group_counts, room_bytes, fits
        )

    @property
    def rank_count(self) -> int:
        """Ranks, without GPU memory beside them."""
        return self.layout.ranksets * self.layout.ranks

    @property
    def rank_room_bytes(self) -> Int64s:
        """`room_bytes` without GPU memory."""
        return self.room_bytes[: self.rank_count]

    def blocks(self, tokens: Int64s, places: Int64s) -> Int64s:
        """Blocks that requests with so many tokens take, in GPU memory beside ranks tokens: shape (n,)."""
        gpu_place = self.layout.gpu_place
        return blocks_of(tokens, places, self.layout.kv_block_tokens, -1 if gpu_place is None else gpu_place)

    def limit_bytes(self, watermark: float) -> Int64s:
        """What may be booked on each rank when a share of it must stay free: shape (P,)."""
        limit: Int64s = self.room_bytes - np.ceil(self.room_bytes * watermark).astype(np.int64)
        return limit


def _with(square: Int64s, corner: int) -> Int64s:
    """A square with one row and one column more: zeros, and in the corner this."""
    size = len(square) + 1
    larger = np.zeros((size, size), dtype=np.int64)
    larger[:-1, :-1], larger[-1, -1] = square, corner
    return larger

"""The host interconnect at level `roofline`: what crosses it, and how long that takes.

A transfer serves one sub-batch, layer and rankset. It moves, for every request whose KV of this layer lies on
the rankset (docs/models.md):

    transfer_down   q, k, v of a decoding request's token
    transfer_up     its attention output
    transfer_kv     k, v of a prefill chunk's tokens

All elements have 2 bytes. GPU i carries the query heads [i*H/TP, (i+1)*H/TP); a KV head is sent once, by the
GPU that has the first of its query heads. (So with fewer KV heads than GPUs, where several GPUs hold a copy
of a KV head, only one of them sends it.) Channel r carries the heads that lie on rank r of the rankset, k and
v of a KV head beside the q and the outputs of its N_gqa query heads. How long that takes: `path.py`. Where KV
lies in stripes, other bytes move: `striped.py`.
"""

import numpy as np

from l3sim.placement import Layout
from l3sim.services.interconnect.path import path_of
from l3sim.specs.config import LinkConfig
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.units import Int64s, ps


class TransferCosts:
    """Transfers of one job.

    Raises:
        ValueError: one token costs more than `units.MAX_COST_PS`.
    """

    def __init__(self, link: LinkConfig, model: ModelShape, layout: Layout) -> None:
        self._layout = layout
        self._path = path_of(link, layout.tp, layout.dp, layout.ranks)
        self._kv_heads = model.kv_heads
        self.channel_heads = layout.channel_heads(model.kv_heads)
        heads, kv_heads = gpu_heads(model, layout.tp)
        head_bytes = model.head_size * ELEMENT_BYTES
        self.head_size, self.queries_per_kv = model.head_size, model.queries_per_kv
        self._gpu_heads, self._gpu_kv_heads = heads, kv_heads
        #: q, or the outputs, of the query heads of one KV head.
        self.query_bytes = query_bytes = model.queries_per_kv * head_bytes
        #: Bytes of one token: (the busiest GPU's, the busiest uplink's, those of a KV head on a channel).
        self.down_bytes = self._busiest(
            heads * head_bytes + kv_heads * model.head_kv_bytes, query_bytes + model.head_kv_bytes
        )
        self.up_bytes = self._busiest(heads * head_bytes, query_bytes)
        self.kv_bytes = self._busiest(kv_heads * model.head_kv_bytes, model.head_kv_bytes)
        one = np.ones((1, layout.ranksets, layout.ranks), dtype=np.int64)
        self.cost_ps(one, np.array([self.down_bytes]))

    def _busiest(self, gpus: Int64s, kv_head: int) -> tuple[int, int, int]:
        """A row of token bytes, from those of each GPU and of a KV head."""
        uplinks = gpus.reshape(-1, self._path.gpus).sum(axis=1)
        return int(gpus.max()), int(uplinks.max()), kv_head

    def tokens(self, offset: Int64s, rank: Int64s, tokens: Int64s | None = None) -> Int64s:
        """Tokens of a round by where their requests begin: shape (offsets, ranks).

        Args:
            offset, rank: of each request, shape (n,).
            tokens: of each request; None: one each.
        """
        layout = self._layout
        keys = offset * layout.ranks + rank
        # Weights are added in float64: tokens stay far below 2**53, so that every sum is exact.
        counts = np.bincount(keys, weights=tokens, minlength=layout.ranksets * layout.ranks)
        return counts.astype(np.int64).reshape(layout.ranksets, layout.ranks)

    def cost_ps(self, tokens: Int64s, token_bytes: Int64s) -> Int64s:
        """Time of one layer's transfers to or from the rankset on which requests of offset o lie.

        Args:
            tokens: of requests at (offset, first rank), shape (transfers, offsets, ranks).
            token_bytes: rows `down_bytes`, `up_bytes` or `kv_bytes`, shape (transfers, 3).

        Returns: shape (transfers, offsets); 0 where nothing moves.

        Raises:
            ValueError: one of them is above `units.MAX_COST_PS`.
        """
        moved = tokens.sum(axis=2)
        channel_most = (tokens @ self.channel_heads).max(axis=2)
        gpu, uplink, kv_head = (token_bytes[:, column, None] for column in range(3))
        seconds = self._path.cost_s(
            moved * gpu, moved * uplink, channel_most * kv_head, moved * (self._kv_heads * kv_head)
        )
        cost: Int64s = ps(seconds) * (moved > 0)
        return cost

    def mixed_ps(self, moved: tuple[Int64s, Int64s], channel_most: Int64s) -> Int64s:
        """Time of transfers of which each GPU carries a share by its query heads, and one by its KV heads.

        Args:
            moved: bytes of a KV head of the model, over all requests: what goes by query heads, by KV heads.
            channel_most: bytes of the busiest channel. All of one shape.

        Returns: the same shape; 0 where nothing moves.

        Raises:
            ValueError: one of them is above `units.MAX_COST_PS`.
        """
        by_query, by_kv = (each[..., None] for each in moved)
        gpus = by_query * self._gpu_heads // self.queries_per_kv + by_kv * self._gpu_kv_heads
        uplinks = gpus.reshape(*gpus.shape[:-1], -1, self._path.gpus).sum(axis=-1)
        whole = (moved[0] + moved[1]) * self._kv_heads
        seconds = self._path.cost_s(gpus.max(axis=-1), uplinks.max(axis=-1), channel_most, whole)
        cost: Int64s = ps(seconds) * (whole > 0)
        return cost


def gpu_heads(model: ModelShape, tp: int) -> tuple[Int64s, Int64s]:
    """Query heads that each GPU has and KV heads that it sends: two arrays of shape (tp,)."""
    edges = np.arange(tp + 1) * model.heads // tp
    first_query = np.arange(model.kv_heads) * model.queries_per_kv
    owner = np.searchsorted(edges, first_query, side="right") - 1
    return np.diff(edges), np.bincount(owner, minlength=tp).astype(np.int64)

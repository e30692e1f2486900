"""What crosses the interconnect where KV lies in stripes over ranks (`l3sim.placement`).

A decoding request of t tokens holds some of them on n = min(ceil(t / stripe), ranks) ranks. For each of its
head groups there move, a layer:

    transfer_down   q to each of the n ranks; k, v of the new token to the one where its stripe lies
    transfer_up     n = 1: the output, FP16; else from each rank a partial result of each query head, FP32:
                    its running maximum, its sum of exponentials, its outputs
    transfer_kv     k, v of a prefill chunk's tokens, each to the rank of its stripe

A GPU writes q once for each rank, since each rank has a buffer of its own: nothing multicasts. What lies q
ranks from a request's first one counts as a request placed there, so that the tables of `TransferCosts`
serve. All of it is counted for each offset; where no stripe begins within a window, all its rounds are alike
and one is counted.
"""

import numpy as np

from l3sim.placement import Layout
from l3sim.services.interconnect.model import TransferCosts
from l3sim.units import Int64s

#: Of one FP32 number of a partial result, and how many there are beside the outputs.
PARTIAL_BYTES, EXTREMA = 4, 2


class StripedTransfers:
    """Transfers of one job."""

    def __init__(self, transfers: TransferCosts, layout: Layout) -> None:
        self._transfers, self._layout = transfers, layout
        size = transfers.head_size
        self._partial_bytes = transfers.queries_per_kv * (size + EXTREMA) * PARTIAL_BYTES

    def decode_ps(self, offset: Int64s, rank: Int64s, context: Int64s, rounds: int) -> tuple[Int64s, Int64s]:
        """Time of one layer's transfers down and up, by the offset of the requests.

        Args:
            offset, rank, context: of decoding requests, shape (n,); tokens held before the first round.
            rounds: that differ.

        Returns: two arrays of shape (offsets, rounds); 0 where nothing moves.

        Raises:
            ValueError: one of them is above `units.MAX_COST_PS`.
        """
        costs, layout = self._transfers, self._layout
        tokens = context[:, None] + np.arange(1, rounds + 1)
        held = layout.ranks_held(tokens)
        tail = (rank[:, None] + (tokens - 1) // layout.stripe_tokens) % layout.ranks
        ones = np.ones_like(tail)
        new = self._at(offset, tail, ones)
        alone = self._at(offset, np.broadcast_to(rank[:, None], held.shape), (held == 1).astype(np.int64))
        parts = self._over(offset, rank, np.where(held > 1, held, 0))
        requests, single, several = (each.sum(axis=1) for each in (new, alone, parts))
        query, kv = costs.query_bytes, costs.kv_bytes[2]
        channels = self._channels(alone + parts) * query + self._channels(new) * kv
        down = costs.mixed_ps(
            ((single + several) * query, requests * kv),
            channels.max(axis=2),
        )
        back = single * query + several * self._partial_bytes
        channels = self._channels(alone) * query + self._channels(parts) * self._partial_bytes
        up = costs.mixed_ps((back, np.zeros_like(back)), channels.max(axis=2))
        return down, up

    def chunks_ps(self, offset: Int64s, rank: Int64s, finished: Int64s, tokens: Int64s) -> Int64s:
        """Time of one layer's transfers of prefill KV, shape (offsets, 1).

        Args:
            offset, rank, finished, tokens: of chunks, shape (n,); finished are those before it.

        Raises:
            ValueError: one of them is above `units.MAX_COST_PS`.
        """
        layout, kv = self._layout, self._transfers.kv_bytes[2]
        dealt = layout.step_tokens(finished + tokens) - layout.step_tokens(finished)
        where = (rank[:, None] + np.arange(layout.ranks)) % layout.ranks
        keys = offset[:, None] * layout.ranks + where
        count = np.bincount(keys.ravel(), weights=dealt.ravel(), minlength=layout.ranksets * layout.ranks)
        at = count.astype(np.int64).reshape(layout.ranksets, layout.ranks, 1)
        whole = at.sum(axis=1) * kv
        channels = self._channels(at).max(axis=2) * kv
        return self._transfers.mixed_ps((np.zeros_like(whole), whole), channels)

    def _channels(self, at: Int64s) -> Int64s:
        """KV heads on each channel, (offsets, rounds, channels), of requests at (offset, rank, round)."""
        heads: Int64s = at.transpose(0, 2, 1) @ self._transfers.channel_heads
        return heads

    def _at(self, offset: Int64s, rank: Int64s, weight: Int64s) -> Int64s:
        """Requests by where they are in each round: shape (offsets, ranks, rounds).

        Args:
            offset: shape (n,). rank, weight: shape (n, rounds).
        """
        return self._counted(offset, rank, weight, self._layout.ranks)

    def _over(self, offset: Int64s, rank: Int64s, held: Int64s) -> Int64s:
        """The same where each counts on `held` ranks from its own on, round the rankset.

        Args:
            offset, rank: shape (n,). held: shape (n, rounds).
        """
        ranks = self._layout.ranks
        ones = np.ones_like(held)
        begin = self._counted(offset, np.broadcast_to(rank[:, None], held.shape), ones, 2 * ranks + 1)
        end = self._counted(offset, rank[:, None] + held, ones, 2 * ranks + 1)
        there = np.cumsum(begin - end, axis=1)
        folded: Int64s = there[:, :ranks] + there[:, ranks : 2 * ranks]
        return folded

    def _counted(self, offset: Int64s, at: Int64s, weight: Int64s, size: int) -> Int64s:
        """Sum of weights by (offset, at, round): shape (offsets, size, rounds)."""
        rounds, offsets = at.shape[1], self._layout.ranksets
        keys = (offset[:, None] * size + at) * rounds + np.arange(rounds)
        # Weights are added in float64: counts stay far below 2**53, so that every sum is exact.
        count = np.bincount(keys.ravel(), weights=weight.ravel(), minlength=offsets * size * rounds)
        return count.astype(np.int64).reshape(offsets, size, rounds)

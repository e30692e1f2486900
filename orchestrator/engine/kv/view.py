"""A scratch copy of a KV ledger for one plan: admissions are tried here first."""

from collections.abc import Callable

import numpy as np

from l3sim.orchestrator.engine.kv.kernels import NOWHERE, best_place
from l3sim.orchestrator.engine.kv.prefix import PrefixSharing
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.stripes import profile
from l3sim.units import Int64s


class KvView:
    """What a policy may try.

    Args:
        bins: booked tokens x groups of each (offset, rank), shape (ranksets, ranks).
        residents: how many are admitted.
        chain: blocks of a prefix that are booked at each placement, shape (P,).
        limit: bytes of each rank that may be booked when a request is admitted beside others, shape (P,).
        leaving_bytes: GPU memory that is still full of KV which has moved.
        reserve_tokens: booked beyond what the policy asks for.

    Attributes:
        booked: bytes of each rank, shape (P,).
    """

    def __init__(
        self,
        shape: KvShape,
        sharing: PrefixSharing,
        booked: Int64s,
        bins: Int64s,
        residents: int,
        chain: Callable[[int], Int64s],
        limit: Int64s,
        reserve_tokens: int,
        leaving_bytes: int = 0,
    ) -> None:
        self._shape, self._sharing = shape, sharing
        self.booked = booked
        self._bins, self._residents = bins, residents
        self._chain_of, self._chains = chain, dict[int, Int64s]()
        self._reserve_tokens = reserve_tokens
        self._limit = limit
        self._leaving_bytes = leaving_bytes

    @property
    def most_tokens(self) -> int:
        """Tokens of requests that may be booked on an empty replica beside others, if all its ranks fill."""
        shape = self._shape
        place, count = shape.layout.gpu_place, shape.rank_count
        blocks = int(self._limit[:count].sum()) // int(shape.block_bytes[0].sum())
        beside = 0 if place is None else int(self._limit[place]) // int(shape.block_bytes[place, place])
        return blocks * shape.layout.kv_block_tokens + beside

    def fits(self, tokens: int, request: int | None = None, on_gpus: bool = False) -> tuple[int, int] | None:
        """Where a request that books this many tokens would go, or None where it does not fit.

        Of the (offset, rank) pairs where it fits, the one that makes the fullest of its bins least full,
        counting booked tokens x groups (ties: most blocks shared, then lowest offset, then rank). With
        `prefix_sharing: longest` most blocks shared come first, then the bins.

        Args:
            request: its number, for what it shares; None: it shares nothing.
            on_gpus: in GPU memory, where the layout has that, and not in ranks.
        """
        shape = self._shape
        if on_gpus:
            return self._beside(tokens, request)
        best = best_place(
            tokens,
            self._reserve_tokens,
            self._hits(request),
            self._sharing.longest,
            self.booked,
            self._limit if self._residents else shape.room_bytes,
            self._bins,
            shape.fit_tokens,
            shape.layer_bytes,
            shape.groups,
            shape.layout.kv_block_tokens,
            shape.layout.stripe_blocks,
        )
        return None if best == NOWHERE else divmod(best, shape.layout.ranks)

    def _beside(self, tokens: int, request: int | None) -> tuple[int, int] | None:
        """The placement in GPU memory, where the layout has one and it has room."""
        layout, place = self._shape.layout, self._shape.layout.gpu_place
        if place is None:
            return None
        shared = int(self._hits(request)[place]) * layout.kv_block_tokens
        own = tokens + self._reserve_tokens - shared
        more = own * int(self._shape.block_bytes[place, place])
        limit = self._limit if self._residents else self._shape.room_bytes
        booked = int(self.booked[place]) + self._leaving_bytes
        return (layout.ranksets, 0) if booked + more <= limit[place] else None

    def admit(self, tokens: int, offset: int, rank: int, request: int | None = None) -> None:
        """Book a request at a placement that `fits` gave."""
        shape = self._shape
        place = offset * shape.layout.ranks + rank
        layout = shape.layout
        booking = int(min(tokens + self._reserve_tokens, shape.fit_tokens[place]))
        blocks = -(-booking // layout.kv_block_tokens)
        if place == layout.gpu_place:
            own = booking - int(self._hits(request)[place]) * layout.kv_block_tokens
            self.booked[place] += own * shape.block_bytes[place, place]
        else:
            added = profile(int(self._hits(request)[place]), blocks, layout.stripe_blocks, shape.groups)
            self.booked[: shape.rank_count] += np.outer(
                shape.layer_bytes[offset], np.roll(added, rank)
            ).ravel()
            self._bins[offset] += np.roll(profile(0, booking, layout.stripe_tokens, shape.groups), rank)
        self._residents += 1
        if request is not None and (shared := self._sharing.shareable[request]):
            chain = self._chain(request)
            chain[place] = max(chain[place], shared)

    def _hits(self, request: int | None) -> Int64s:
        """Blocks of a request that are booked already at each placement: shape (P,)."""
        if request is None or not self._sharing.shareable[request]:
            return np.zeros(len(self.booked), dtype=np.int64)
        hits: Int64s = np.minimum(self._chain(request), self._sharing.shareable[request])
        return hits

    def _chain(self, request: int) -> Int64s:
        prefix = int(self._sharing.prefix[request])
        if prefix not in self._chains:
            self._chains[prefix] = self._chain_of(prefix)
        return self._chains[prefix]

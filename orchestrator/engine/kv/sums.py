"""What residents of a replica hold and have booked, summed over ranks; kept until one comes, goes or grows.

Ranks count as rankset * ranks + rank, placements as offset * ranks + first rank; there are P of each. GPU
memory beside ranks is one of each more, the last.
"""

import numpy as np

from l3sim.orchestrator.engine.kv.kernels import Bookings, booked_tokens, bytes_of
from l3sim.orchestrator.engine.kv.prefix import PrefixSharing
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.stripes import runs_at
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.units import Int64s

#: Share of GPU memory for KV that is kept free: what residents grow by while others move out. Ours.
SLACK = 0.02


class KvSums:
    """The sums that `KvLedger` keeps of its residents.

    Args:
        reserve_tokens: booked beyond prompt and next token from admission on, until they are used.
        prefix_sharing: "off", "balanced" or "longest" (docs/kv.md).
    """

    def __init__(self, shape: KvShape, table: RequestTable, reserve_tokens: int, prefix_sharing: str) -> None:
        self.shape = shape
        self.sharing = PrefixSharing.of(table, shape.layout.kv_block_tokens, prefix_sharing)
        self._table = table
        self._residents: list[int] = []
        #: Moved from GPU memory, and not yet told to have arrived.
        self.arriving: list[int] = []
        #: GPU memory that is still full of KV which has moved.
        self.leaving_bytes = 0
        self._bookings = Bookings(
            reserve_tokens, table.phase, table.kv_tokens, table.target, shape.fit_tokens
        )
        # Kept until a request comes or goes or, except for which they are, grows.
        self._rows: Int64s | None = None
        self._places: Int64s | None = None
        self._tokens: Int64s | None = None
        self._booked: Int64s | None = None
        self._held_blocks: Int64s | None = None
        self._held: Int64s | None = None

    @property
    def residents(self) -> list[int]:
        """Admitted requests in order of admission."""
        return list(self._residents)

    @property
    def rows(self) -> Int64s:
        """The residents, as an index array."""
        if self._rows is None:
            self._rows = self._table.rows(self._residents)
            self._places = self.places(self._rows)
        return self._rows

    def places(self, requests: Int64s) -> Int64s:
        """Placement numbers of admitted requests."""
        if requests is self._rows and self._places is not None:
            return self._places
        table = self._table
        return table.offset[requests] * self.shape.layout.ranks + table.rank[requests]

    def blocks_at(self, requests: Int64s, tokens: Int64s) -> Int64s:
        """Blocks of requests with so many tokens, shared ones once, as `kv.stripes` counts: shape (P,)."""
        amounts = self.shape.blocks(tokens, self.places(requests))
        return self._once(requests, amounts, 1, self.shape.layout.stripe_blocks)

    def tokens_at(self, requests: Int64s, tokens: Int64s) -> Int64s:
        """Tokens of requests at each placement, those in shared blocks once: shape (P,); as `blocks_at`."""
        layout = self.shape.layout
        return self._once(requests, tokens, layout.kv_block_tokens, layout.stripe_tokens)

    def _once(self, requests: Int64s, amounts: Int64s, of_block: int, stripe: int) -> Int64s:
        """Sum of amounts at each placement, what is shared once; a block and a stripe in their unit."""
        places = self.places(requests)
        runs = places, np.zeros_like(amounts), amounts
        if self.sharing.any:
            shared = self.sharing.shareable[requests] * of_block
            if self._gpus:
                shared = np.where(places == self._size - 1, shared // of_block * self._block_tokens, shared)
            runs = self.sharing.runs(requests, places, amounts, shared, self._size)
        return runs_at(*runs, stripe, self.shape.layout.ranks, self._size)

    def per_rank(self, requests: Int64s, tokens: Int64s) -> Int64s:
        """Bytes that requests with this many tokens take on each rank: shape (P,)."""
        return bytes_of(self.blocks_at(requests, tokens), self.shape.block_bytes)

    def booked_tokens(self, requests: Int64s) -> Int64s:
        """Tokens that each admitted request has booked."""
        table, places = self._table, self.places(requests)
        if table.lengths_known:
            tokens = table.prompt[requests] + table.output[requests] - 1
            bounded: Int64s = np.minimum(tokens, self.shape.fit_tokens[places])
            return bounded
        return booked_tokens(requests, places, 0, self._bookings)

    def _booked_now(self) -> Int64s:
        """Tokens that each resident has booked, in order of admission."""
        if self._tokens is None:
            self._tokens = self.booked_tokens(self.rows)
        return self._tokens

    def booked_bytes(self) -> Int64s:
        """Bytes that each rank has booked: shape (P,)."""
        if self._booked is None:
            self._booked = self.per_rank(self.rows, self._booked_now())
        return self._booked

    def held_blocks(self) -> Int64s:
        """Blocks in which residents hold KV at each placement, shared ones once: shape (P,)."""
        if self._held_blocks is None:
            self._held_blocks = self.blocks_at(self.rows, self.held_tokens(self.rows))
        return self._held_blocks

    def held_tokens(self, requests: Int64s) -> Int64s:
        """Tokens that requests hold where they are placed: shape (n,); those that arrive have none yet."""
        held = self._table.held[requests]
        if not self.arriving:
            return held
        here: Int64s = np.where(np.isin(requests, self.arriving), 0, held)
        return here

    def held_bytes(self) -> Int64s:
        """Bytes of the blocks in which each rank holds KV: shape (P,)."""
        if self._held is None:
            self._held = bytes_of(self.held_blocks(), self.shape.block_bytes)
        return self._held

    def in_ranks(self, growing: Int64s) -> tuple[int, Int64s, Int64s, Int64s]:
        """What `Occupancy.add` counts, GPU memory beside ranks left out.

        Returns: blocks held; tokens held at each placement; tokens that each of `growing` holds, and its
            placement, of those in ranks.
        """
        ranks, held = self.shape.rank_count, self._table.held
        growing = growing[self.places(growing) < ranks]
        tokens = self.tokens_at(self.rows, held[self.rows])[:ranks]
        return int(self.held_blocks()[:ranks].sum()), tokens, held[growing], self.places(growing)

    def _grew(self) -> None:
        """A resident holds or books another number of tokens: the sums per rank are counted anew."""
        self._tokens = self._booked = self._held_blocks = self._held = None

    def _moved(self) -> None:
        """A resident came or went."""
        self._rows = self._places = None
        self._grew()

    def _chain(self, prefix: int) -> Int64s:
        """Blocks of a prefix that residents book at each placement: shape (P,)."""
        return self.sharing.chain(prefix, self.rows, self.places(self.rows), self._size)

    def on_gpus(self, requests: Int64s) -> np.ndarray:
        """Which of these requests have, or last had, their KV in GPU memory: shape (n,)."""
        gpus: np.ndarray = self._table.offset[requests] == self.shape.layout.ranksets
        return gpus

    @property
    def _gpus(self) -> bool:
        return self.shape.layout.gpu_place is not None

    @property
    def over_on_gpus(self) -> int:
        """Bytes of GPU memory that KV which stays or leaves takes beyond its room; or less than 0."""
        place = len(self.shape.room_bytes) - 1
        return int(self.booked_bytes()[place] - self.shape.room_bytes[place]) + self.leaving_bytes

    def lacks_on_gpus(self) -> list[int]:
        """Decoding requests that GPU memory has no room for, admitted last first."""
        place = self.shape.layout.gpu_place
        if place is None:
            return []
        over = int(self.booked_bytes()[place]) - int(self.shape.room_bytes[place] * (1 - SLACK))
        found: list[int] = []
        for request in self.rows[self.places(self.rows) == place][::-1].tolist():
            if over <= 0:
                break
            booked = self.booked_tokens(self._table.rows([request]))
            if self._table.phase[request] == Phase.DECODE:
                over -= int(booked[0] * self.shape.block_bytes[place, place])
                found.append(request)
        return found

    @property
    def _block_tokens(self) -> int:
        return self.shape.layout.kv_block_tokens

    @property
    def _size(self) -> int:
        return len(self.shape.room_bytes)

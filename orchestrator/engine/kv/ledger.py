"""The KV ledger of one replica: what each rank holds and has booked, what fits, what must go.

The ledger alone writes how many KV tokens a request holds and where an admitted request is in its life, so
that the sums it keeps are never stale:

    admit --> prefill(chunk) ... prefill(last chunk) --> decode(rounds) ... --> finish --> release
      '------------------- preempt: the KV goes -------------------'

*Booked* are the tokens held and one more for a decoding request, and for a request in prefill all that it
must prefill and one more, from its admission on; with a reservation, that many more from then on; never more
than an empty replica holds, so that the largest request that is accepted can also be admitted. Lengths to
come are never counted. Tokens take room in whole blocks.

Requests with a common prefix at one placement keep the prefix's whole blocks once (`l3sim.device.blocks` has
the picture). A request counts on every block of the prefix that it books, so the blocks of a prefix that a
placement books are those of the sharer with the most of them.

Ranks count as rankset * ranks + rank, placements as offset * ranks + first rank; there are P of each.
"""

from dataclasses import replace

import numpy as np

from l3sim.orchestrator.engine.kv import integrity
from l3sim.orchestrator.engine.kv.kernels import bytes_of, rounds_of_room
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.stripes import on_rank, runs_at
from l3sim.orchestrator.engine.kv.sums import KvSums
from l3sim.orchestrator.engine.kv.view import KvView
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.units import Int64s
from l3sim.work import Chunk, KvPlacement


class KvLedger(KvSums):
    """The books of one replica.

    Args:
        watermark: share of every rank that stays free when a request is admitted beside others.
        reserve_tokens: booked beyond prompt and next token from admission on, until they are used.
        prefix_sharing: "off", "balanced" or "longest" (docs/kv.md).

    Attributes:
        peak_bytes: the most KV that was held at a join.
    """

    def __init__(
        self,
        shape: KvShape,
        table: RequestTable,
        watermark: float,
        reserve_tokens: int = 0,
        prefix_sharing: str = "balanced",
    ) -> None:
        super().__init__(shape, table, reserve_tokens, prefix_sharing)
        self._reserve_tokens = reserve_tokens
        self.peak_bytes = 0
        self._admissions = 0
        self._limit = shape.limit_bytes(watermark)

    # -- coming and going ----------------------------------------------------------------------------

    def view(self) -> KvView:
        """A scratch copy for one plan."""
        places = self.places(self.rows)
        return KvView(
            self.shape,
            self.sharing,
            self.booked_bytes().copy(),
            self._bins(places),
            len(self._residents),
            self._chain,
            self._limit,
            self._reserve_tokens,
            self.leaving_bytes,
        )

    def _bins(self, places: Int64s) -> Int64s:
        """Booked tokens x head groups of each (offset, rank): shape (R, ranks)."""
        layout, tokens, ranks = self.shape.layout, self._booked_now(), self.shape.rank_count
        if self._gpus:
            inside = places < ranks
            places, tokens = places[inside], tokens[inside]
        there = runs_at(places, np.zeros_like(tokens), tokens, layout.stripe_tokens, layout.ranks, ranks)
        return there.reshape(layout.ranksets, layout.ranks) @ self.shape.groups

    def admit(self, placed: KvPlacement) -> KvPlacement:
        """Enter a request at a placement that a view gave, its KV empty; what the devices are to be told."""
        table, request = self._table, placed.request
        table.offset[request] = placed.offset
        table.rank[request] = placed.rank
        table.kv_tokens[request] = 0
        table.admission[request] = self._admissions
        table.phase[request] = Phase.PREFILL
        if shared := int(self.sharing.shareable[request]):
            prefix = int(self.sharing.prefix[request])
            booked = int(self._chain(prefix)[placed.offset * self.shape.layout.ranks + placed.rank])
            self.sharing.asked_blocks += shared
            self.sharing.hit_blocks += min(shared, booked)
        self._admissions += 1
        self._residents.append(request)
        self._moved()
        return self._sharing_of(placed)

    def _sharing_of(self, placed: KvPlacement) -> KvPlacement:
        """A placement with what its request shares."""
        shared = int(self.sharing.shareable[placed.request])
        prefix = int(self.sharing.prefix[placed.request]) if shared else 0
        return replace(placed, prefix=prefix, prefix_blocks=shared)

    def move(self, placed: KvPlacement) -> KvPlacement:
        """Take a decoding request from GPU memory to ranks that a view gave; what the GPUs are to be told.

        Its KV is booked there at once, and held once it has `arrived`.
        """
        table, request = self._table, placed.request
        table.offset[request], table.rank[request] = placed.offset, placed.rank
        table.moved[request] += table.held[request]
        self.arriving.append(request)
        self._moved()
        return replace(self._sharing_of(placed), held=int(table.held[request]))

    def arrived(self) -> None:
        """The KV of all that moved is held where it went."""
        if self.arriving:
            self.arriving = []
            self._grew()

    def prefill(self, chunk: Chunk) -> None:
        """A chunk was computed: its tokens are held, and after the last one the request decodes."""
        self._table.kv_tokens[chunk.request] += chunk.tokens
        if chunk.last:
            self._table.phase[chunk.request] = Phase.DECODE
        self._grew()

    def decode(self, requests: Int64s, rounds: int) -> None:
        """Each of these requests decoded for this many rounds: a token held a round; shape (n,)."""
        self._table.kv_tokens[requests] += rounds
        self._grew()

    def finish(self, requests: list[int]) -> None:
        """Requests made their last token; they hold their KV until `release`."""
        if requests:
            self._table.phase[requests] = Phase.DONE
            self._grew()

    def release(self, requests: list[int]) -> None:
        """Take finished requests off the books."""
        gone = set(requests)
        if gone:
            self._residents = [request for request in self._residents if request not in gone]
            self._moved()

    def preempt(self) -> list[int]:
        """Drop the KV of requests that there is no room for, and return them in that order.

        Their tokens count as to be computed again.

        While a rank, lowest first, has more booked than it holds, its request admitted last goes. The
        oldest of a rank never goes alone: its booking is bounded by what an empty replica holds.
        """
        layout, dropped = self.shape.layout, list[int]()
        while len(over := np.flatnonzero(self.booked_bytes() > self.shape.room_bytes)):
            blocks, where = layout.blocks(self._booked_now()), self.places(self.rows)
            there = on_rank(where, blocks, over[0], layout.stripe_blocks, layout.ranks, self.shape.pieces)
            victim = int(self.rows[np.flatnonzero(there)[-1]])
            self._residents.remove(victim)
            self._table.recomputed[victim] += self._table.kv_tokens[victim]
            self._table.kv_tokens[victim] = 0
            self._moved()
            dropped.append(victim)
        return dropped

    # -- room ----------------------------------------------------------------------------------------

    def rounds_of_room(self, growing: Int64s, most: int) -> int:
        """Rounds of decoding until a rank lacks room for one more, `most` at the most; at least 1."""
        if self._table.lengths_known:  # all is booked already
            return 1 if self.lacks_room() else most
        shape = self.shape
        # A decoding request has all of its prefix: the blocks that it opens is its own.
        return rounds_of_room(
            most,
            growing,
            self.places(growing),
            self._bookings,
            self._block_tokens,
            -1 if shape.layout.gpu_place is None else shape.layout.gpu_place,
            self.booked_bytes(),
            shape.room_bytes,
            shape.block_bytes,
            shape.layout.ranks,
            shape.layout.stripe_blocks,
        )

    def lacks_room(self) -> bool:
        """Whether a rank has more booked than it holds."""
        return bool((self.booked_bytes() > self.shape.room_bytes).any())

    def note_peak(self) -> None:
        """Remember the most KV bytes that were held, and spared, at once."""
        held = int(self.held_bytes().sum())
        self.peak_bytes = max(self.peak_bytes, held)
        if self.sharing.any:
            layout, places = self.shape.layout, self.places(self.rows)
            blocks = self.shape.blocks(self.held_tokens(self.rows), places)
            runs = places, np.zeros_like(blocks), blocks
            alone = runs_at(*runs, layout.stripe_blocks, layout.ranks, self._size)
            saved = int(bytes_of(alone, self.shape.block_bytes).sum()) - held
            self.sharing.saved_peak_bytes = max(self.sharing.saved_peak_bytes, saved)

    def check_integrity(self) -> list[str]:
        """What is wrong with the books, in words; empty when nothing is. Callable at any time."""
        return integrity.wrong_with(self, self._table)

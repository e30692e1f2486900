"""The KV ledger of one replica: what each rank holds and has booked, who fits, who must go.

*Booked* are the tokens held and one more for a decoding request, and for a request in prefill all that it
must prefill and one more, from its admission on; never more than an empty replica holds, so that the
largest request that is accepted can also be admitted. Lengths to come are never counted.
Ranks count as rankset * ranks + rank, placements as offset * ranks + first rank.
"""

from dataclasses import dataclass

import numpy as np

from l3sim.placement import Layout
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s
from l3sim.work import Placed
from orchestrator.state import Phase, RequestTable


@dataclass(frozen=True)
class KvShape:
    """What placement makes of a layout; shared by the replicas.

    Attributes:
        token_bytes: bytes that a token of placement p puts on rank r, shape (P, P).
        groups: head groups on rank r of first rank b, shape (ranks, ranks).
        room_bytes: of each rank, shape (P,).
        fit_tokens: the longest request that an empty replica holds at placement p, shape (P,).
    """

    layout: Layout
    token_bytes: Int64s
    groups: Int64s
    room_bytes: Int64s
    fit_tokens: Int64s

    @classmethod
    def of(cls, layout: Layout, model: ModelShape, room_bytes: Int64s) -> "KvShape":
        """Derive the tables from the layout and each rank's room."""
        places = layout.ranksets * layout.ranks
        token_bytes = layout.token_bytes(model).reshape(places, places)
        with np.errstate(divide="ignore"):
            fit = np.where(token_bytes > 0, room_bytes[None, :] // np.maximum(token_bytes, 1), 2**62)
        return cls(layout, token_bytes, layout.group_counts, room_bytes, fit.min(axis=1))


class KvView:
    """A scratch copy of the books for one plan: admissions are tried here first.

    Attributes:
        booked: bytes of each rank, shape (P,).
    """

    def __init__(
        self, shape: KvShape, booked: Int64s, bins: Int64s, residents: int, watermark: float
    ) -> None:
        self._shape = shape
        self.booked = booked
        self._bins = bins
        self._residents = residents
        keep = np.ceil(shape.room_bytes * watermark).astype(np.int64)
        self._limit = shape.room_bytes - keep

    def fits(self, tokens: int) -> tuple[int, int] | None:
        """Where a request that books so many tokens would go, or None where it does not fit.

        Of the (offset, rank) pairs where it fits, the one that makes the fullest of its bins least full,
        counting booked tokens x groups (ties: lowest offset, then rank).
        """
        shape = self._shape
        ranks = shape.layout.ranks
        booking = np.minimum(tokens, shape.fit_tokens)
        limit = self._limit if self._residents else shape.room_bytes
        after = self.booked[None, :] + shape.token_bytes * booking[:, None]
        fits = ((after <= limit[None, :]) | (shape.token_bytes == 0)).all(axis=1)
        fits &= tokens - 1 <= shape.fit_tokens
        if not fits.any():
            return None
        added = shape.groups[None, :, :] * booking.reshape(-1, ranks)[:, :, None]
        fullest = np.where(shape.groups[None] > 0, self._bins[:, None, :] + added, 0).max(axis=2).reshape(-1)
        best = int(np.argmin(np.where(fits, fullest, 2**62)))
        return divmod(best, ranks)

    def admit(self, tokens: int, offset: int, rank: int) -> None:
        """Book a request at a placement that `fits` gave."""
        place = offset * self._shape.layout.ranks + rank
        booking = min(tokens, int(self._shape.fit_tokens[place]))
        self.booked += self._shape.token_bytes[place] * booking
        self._bins[offset] += self._shape.groups[rank] * booking
        self._residents += 1


class KvLedger:
    """The books of one replica.

    Args:
        watermark: share of every rank that stays free when somebody is admitted beside others.
    """

    def __init__(self, shape: KvShape, table: RequestTable, watermark: float) -> None:
        self.shape = shape
        self._table = table
        self._watermark = watermark
        #: Admitted requests in order of admission.
        self.residents: list[int] = []
        self._admissions = 0
        self.peak_bytes = 0
        # Kept while nobody comes, goes or prefills; grown with the decoding requests.
        self._booked: Int64s | None = None
        self._held: Int64s | None = None

    def places(self, requests: Int64s) -> Int64s:
        """Placement numbers of admitted requests."""
        table = self._table
        return table.offset[requests] * self.shape.layout.ranks + table.rank[requests]

    def per_rank(self, requests: Int64s, tokens: Int64s) -> Int64s:
        """Bytes that so many tokens of each request put on each rank: shape (P,)."""
        size = len(self.shape.room_bytes)
        # Weights of bincount are float64: exact, since token counts stay far below 2^53.
        at_place = np.bincount(self.places(requests), weights=tokens, minlength=size).astype(np.int64)
        return at_place @ self.shape.token_bytes

    def booked_tokens(self, requests: Int64s) -> Int64s:
        """Tokens that each admitted request has booked."""
        table = self._table
        if table.foresee:
            tokens = table.prompt[requests] + table.output[requests] - 1
        else:
            decoding = table.phase[requests] == Phase.DECODE
            tokens = np.where(decoding, table.held[requests], table.target[requests]) + 1
        bounded: Int64s = np.minimum(tokens, self.shape.fit_tokens[self.places(requests)])
        return bounded

    def booked_bytes(self) -> Int64s:
        """Bytes that each rank has booked: shape (P,)."""
        if self._booked is None:
            requests = self._table.rows(self.residents)
            self._booked = self.per_rank(requests, self.booked_tokens(requests))
        return self._booked

    def held_bytes(self) -> Int64s:
        """KV bytes on each rank: shape (P,)."""
        if self._held is None:
            requests = self._table.rows(self.residents)
            self._held = self.per_rank(requests, self._table.held[requests])
        return self._held

    def changed(self) -> None:
        """Somebody came, went, or prefilled: the sums per rank are counted anew."""
        self._booked = self._held = None

    def grown(self, growth: Int64s, rounds: int) -> None:
        """Decoding requests have grown by so many rounds of `growth`, bytes a round on each rank."""
        if self._booked is not None and not self._table.foresee:
            self._booked = self._booked + growth * rounds
        if self._held is not None:
            self._held = self._held + growth * rounds

    def view(self) -> KvView:
        """A scratch copy for one plan."""
        requests = self._table.rows(self.residents)
        tokens = self.booked_tokens(requests)
        layout = self.shape.layout
        size = layout.ranksets * layout.ranks
        at_place = np.bincount(self.places(requests), weights=tokens, minlength=size).astype(np.int64)
        bins = at_place.reshape(layout.ranksets, layout.ranks) @ self.shape.groups
        booked = at_place @ self.shape.token_bytes
        return KvView(self.shape, booked, bins, len(self.residents), self._watermark)

    def admit(self, placed: Placed) -> None:
        """Enter a request at a placement that a view gave; its KV is empty."""
        table = self._table
        table.offset[placed.request] = placed.offset
        table.rank[placed.request] = placed.rank
        table.held[placed.request] = 0
        table.admission[placed.request] = self._admissions
        table.phase[placed.request] = Phase.PREFILL
        self._admissions += 1
        self.residents.append(placed.request)
        self.changed()

    def release(self, requests: list[int]) -> None:
        """Take finished requests off the books."""
        gone = set(requests)
        if gone:
            self.residents = [request for request in self.residents if request not in gone]
            self.changed()

    def preempt(self) -> list[int]:
        """Drop whom there is no room for, and return them in that order.

        While a rank, lowest first, has more booked than it holds, its request admitted last goes. The
        oldest of a rank never goes alone: its booking is bounded by what an empty replica holds.
        """
        booked = self.booked_bytes().copy()
        dropped: list[int] = []
        while True:
            over = np.flatnonzero(booked > self.shape.room_bytes)
            if len(over) == 0:
                return dropped
            requests = self._table.rows(self.residents)
            on_rank = self.shape.token_bytes[self.places(requests), over[0]] > 0
            victim = int(requests[np.flatnonzero(on_rank)[-1]])
            row = self._table.rows([victim])
            booked -= self.per_rank(row, self.booked_tokens(row))
            self.residents.remove(victim)
            self.changed()
            dropped.append(victim)

    def note_peak(self) -> None:
        """Remember the most KV bytes that were held at once."""
        self.peak_bytes = max(self.peak_bytes, int(self.held_bytes().sum()))

    def growth_bytes(self, growing: Int64s) -> Int64s:
        """Bytes a round on each rank when these requests decode: shape (P,)."""
        return self.per_rank(growing, np.ones(len(growing), dtype=np.int64))

    def rounds_of_room(self, growth: Int64s) -> int:
        """Rounds until a rank lacks room for one more, at this growth a round."""
        room = self.shape.room_bytes - self.booked_bytes()
        grows = growth > 0
        if not grows.any() or self._table.foresee:
            return 2**31
        return max(int((room[grows] // growth[grows]).min()) + 1, 1)

    def lacks_room(self) -> bool:
        """Whether a rank has more booked than it holds."""
        return bool((self.booked_bytes() > self.shape.room_bytes).any())

    def check_integrity(self) -> list[str]:
        """What is wrong with the books, in words; empty when nothing is. Callable at any time."""
        wrong = []
        table = self._table
        requests = table.rows(self.residents)
        if (self.per_rank(requests, table.held[requests]) != self.held_bytes()).any():
            wrong.append("the KV bytes kept differ from those counted anew")
        if (self.per_rank(requests, self.booked_tokens(requests)) != self.booked_bytes()).any():
            wrong.append("the booked bytes kept differ from those counted anew")
        if len(set(self.residents)) != len(self.residents):
            wrong.append("a request is resident twice")
        phases = table.phase[requests]
        if not np.isin(phases, (Phase.PREFILL, Phase.DECODE, Phase.DONE)).all():
            wrong.append("a resident is neither in prefill nor decoding")
        if (np.diff(table.admission[requests]) <= 0).any():
            wrong.append("residents are out of the order of their admission")
        if (self.held_bytes() > self.shape.room_bytes).any():
            wrong.append("a rank holds more KV than it has room for")
        if (table.held[requests] > table.prompt[requests] + table.output[requests] - 1).any():
            wrong.append("a request holds more tokens than it can ever need")
        return wrong

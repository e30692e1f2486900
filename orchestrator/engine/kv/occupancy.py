"""What KV memory held, summed over time: exact, and the same however rounds are cut into windows.

Blocks and tokens held at each join, weighed with the time of the iteration that it ends. Within a window only
decoding requests grow, a token a round each; so the state at its end tells all its joins, walked backwards:

    rounds before the end     3      2      1      0
    tokens                  T-3n   T-2n    T-n     T        n decoding requests
    blocks                  less those that were opened after

Where KV is striped, tokens count at the placement of the rank that they begin at (`kv.stripes`), and the
newest tokens of a request may lie on several ranks.
"""

from operator import mul

import numpy as np

from l3sim.placement import Layout
from l3sim.units import Int64s
from l3sim.work import NO_REQUESTS


class Occupancy:
    """Sums of one replica, in Python integers: they leave 64 bits.

    Args:
        block_tokens: tokens of a block.
        places: how many placements there are.
        stripe_tokens: tokens of a stripe, 0: none. ranks: of a rankset.

    Attributes:
        block_ps: blocks x time; a block is one of all layers and head groups of a request.
        place_ps: tokens x time of each placement, shape (P,), objects.
    """

    def __init__(self, block_tokens: int, places: int, stripe_tokens: int = 0, ranks: int = 1) -> None:
        self._block_tokens, self._places = block_tokens, places
        self._stripe_tokens, self._ranks = stripe_tokens, ranks
        self.block_ps = 0
        self.place_ps: np.ndarray[tuple[int], np.dtype[np.object_]] = np.zeros(places, dtype=np.object_)

    @classmethod
    def of(cls, layout: Layout) -> "Occupancy":
        """Of a replica that is laid out so."""
        places = layout.ranksets * layout.ranks
        return cls(layout.kv_block_tokens, places, layout.stripe_tokens, layout.ranks)

    def add(
        self,
        lasted_ps: Int64s,
        blocks: int,
        tokens: Int64s,
        growing: Int64s = NO_REQUESTS,
        places: Int64s = NO_REQUESTS,
    ) -> None:
        """Count the rounds of a window.

        Args:
            lasted_ps: time of each, shape (rounds,).
            blocks: held at the end.
            tokens: held at each placement at the end, shape (P,).
            growing: tokens that each decoding request holds at the end, shape (n,).
            places: where they lie, shape (n,).
        """
        rounds = len(lasted_ps)
        # Backwards: index d is d rounds before the end.
        times = lasted_ps[::-1].tolist()
        opened = np.cumsum(self._opened(growing, rounds))
        fewer = [0, *opened[:-1].tolist()]
        whole = sum(times)
        self.block_ps += blocks * whole - sum(map(mul, times, fewer))
        before = sum(map(mul, times, range(rounds)))
        self.place_ps += tokens.astype(np.object_) * whole
        self.place_ps -= self._growth(growing, places).astype(np.object_) * before
        if self._stripe_tokens:
            self._move_back(times, growing, places)

    def _growth(self, growing: Int64s, places: Int64s) -> Int64s:
        """Requests by the placement at which their newest token counts: shape (P,)."""
        if self._stripe_tokens:
            places = self._shifted(places, (growing - 1) // self._stripe_tokens)
        return np.bincount(places, minlength=self._places)

    def _shifted(self, places: Int64s, steps: Int64s) -> Int64s:
        """Placements so many ranks further."""
        own = places % self._ranks
        return places - own + (own + steps) % self._ranks

    def _move_back(self, times: list[int], growing: Int64s, places: Int64s) -> None:
        """Count tokens that were not there yet in the stripe before that of the newest token.

        Token T - j, j = 1 the newest, was not there j rounds and more before the end. Where it lies in
        another stripe than token T - j + 1, all from it on were counted a rank too far.
        """
        size, rounds = self._stripe_tokens, len(times)
        # Weight of the tokens T - j and before: sum over i >= j of the time that T - i was not there.
        weight, missing = [0] * (rounds + 2), 0
        for j in range(rounds - 1, 0, -1):
            missing += times[j]
            weight[j] = weight[j + 1] + missing
        last, since = np.divmod(growing - 1, size)
        begins = since + 2
        while (here := (begins < rounds) & (last > 0)).any():
            for one in np.flatnonzero(here).tolist():
                further, nearer = self._shifted(places[one], np.array([last[one], last[one] - 1]))
                self.place_ps[further] += weight[begins[one]]
                self.place_ps[nearer] -= weight[begins[one]]
            last, begins = last - 1, begins + size

    def _opened(self, growing: Int64s, rounds: int) -> Int64s:
        """Blocks opened in the round d rounds before the end: shape (rounds,)."""
        size = self._block_tokens
        # The newest token of a request is the first of a block where this is 0.
        since = (growing - 1) % size
        if size >= rounds:
            return np.bincount(since[since < rounds], minlength=rounds)
        return np.resize(np.bincount(since, minlength=size), rounds)

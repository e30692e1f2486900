"""What KV memory held, summed over time: exact, and the same however rounds are cut into windows.

Blocks and tokens held at each join, weighed with the time of the iteration that it ends. Within a window only
decoding requests grow, a token a round each; so the state at its end tells all its joins, walked backwards:

    rounds before the end     3      2      1      0
    tokens                  T-3n   T-2n    T-n     T        n decoding requests
    blocks                  less those that were opened after
"""

from operator import mul

import numpy as np

from l3sim.units import Int64s
from l3sim.work import NO_REQUESTS


class Occupancy:
    """Sums of one replica, in Python integers: they leave 64 bits.

    Args:
        block_tokens: tokens of a block.
        places: how many placements there are.

    Attributes:
        block_ps: blocks x time; a block is one of all layers and head groups of a request.
        place_ps: tokens x time of each placement, shape (P,), objects.
    """

    def __init__(self, block_tokens: int, places: int) -> None:
        self._block_tokens, self._places = block_tokens, places
        self.block_ps = 0
        self.place_ps: np.ndarray[tuple[int], np.dtype[np.object_]] = np.zeros(places, dtype=np.object_)

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
        growth = np.bincount(places, minlength=self._places)
        before = sum(map(mul, times, range(rounds)))
        self.place_ps += tokens.astype(np.object_) * whole - growth.astype(np.object_) * before

    def _opened(self, growing: Int64s, rounds: int) -> Int64s:
        """Blocks opened in the round d rounds before the end: shape (rounds,)."""
        size = self._block_tokens
        # The newest token of a request is the first of a block where this is 0.
        since = (growing - 1) % size
        if size >= rounds:
            return np.bincount(since[since < rounds], minlength=rounds)
        return np.resize(np.bincount(since, minlength=size), rounds)

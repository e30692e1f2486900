"""What KV residents are expected to hold later: what admission looks at, instead of lengths to come.

In t rounds a resident that has made e tokens and holds h

    holds h + t  with probability S(e + t) / S(e)      S: the share of answers longer than that (lengths.py)
    has ended    otherwise

The sum over residents rises while they grow and falls when they end; its peak must fit. So many may enter
while all are young, fewer when the long ones are left, and nobody's length is known beforehand.
"""

import numpy as np

from l3sim.orchestrator.engine.lengths import UNSEEN, Survival
from l3sim.units import Floats, Int64s

#: Rounds from now at which the sum is taken: ours.
AHEAD: Int64s = np.array(
    [0, 64, 128, 256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12_288, 16_384]
)


class Forecast:
    """Expected KV tokens of a replica at each of `AHEAD`.

    Args:
        survival: of answers; None: each is taken to have `unseen` tokens.
        most: tokens that may be held.
    """

    def __init__(self, survival: Survival | None, most: int) -> None:
        self._survival, self._most = survival, most
        # On a small machine fewer, so that some can share it from the start.
        self._unseen = max(min(UNSEEN, most // 32), 1)
        self.tokens: Floats = np.zeros(len(AHEAD))

    def of(self, held: Int64s, emitted: Int64s) -> Floats:
        """Expected tokens of requests, together, at each of `AHEAD`.

        Args:
            held: tokens of KV that each has, or will have once prefilled, shape (n,). emitted: of its answer.
        """
        then = emitted[:, None] + AHEAD
        if self._survival is None:
            stays = (then <= np.maximum(emitted[:, None], self._unseen)).astype(np.float64)
        else:
            stays = self._survival.stays(emitted, AHEAD)
        result: Floats = (stays * (held[:, None] + AHEAD)).sum(axis=0)
        return result

    def left(self, emitted: Int64s) -> Floats:
        """Tokens that answers with so many are still to have, on average: shape (n,)."""
        if self._survival is None:
            return np.maximum(self._unseen - emitted, self._unseen / 8)
        return self._survival.left(emitted)

    def fits(self, more: Floats) -> bool:
        """Whether so many tokens more, at each of `AHEAD`, can be expected to fit."""
        return bool((self.tokens + more).max() <= self._most)

"""What KV residents are expected to hold later: what admission looks at, instead of lengths to come.

In t rounds a resident that has made e tokens and holds h

    holds h + t  with probability S(e + t) / S(e)      S: the share of answers longer than that (lengths.py)
    has ended    otherwise

The sum over residents rises while they grow and falls when they end. What is kept free for it is a quantile:
its mean and `SURE` standard deviations more, of residents that end independently; its peak must fit. So many
may enter while all are young, fewer when the long ones are left, and nobody's length is known beforehand.
"""

import numpy as np

from l3sim.orchestrator.engine.lengths import UNSEEN, Survival
from l3sim.units import Floats, Int64s

#: Rounds from now at which the sum is taken: ours.
AHEAD: Int64s = np.array(
    [0, 64, 128, 256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12_288, 16_384]
)
#: Standard deviations beyond the mean that must fit: of a normal sum the 97.7 % quantile. Ours.
SURE = 2.0


class Forecast:
    """KV tokens of a replica at each of `AHEAD`: their mean and variance, shape (2, AHEAD).

    Args:
        survival: of answers; None: each is taken to have `unseen` tokens.
        most: tokens that may be held.
    """

    def __init__(self, survival: Survival | None, most: int) -> None:
        self._survival, self._most = survival, most
        # On a small machine fewer, so that some can share it from the start.
        self._unseen = max(min(UNSEEN, most // 32), 1)
        self.tokens: Floats = np.zeros((2, len(AHEAD)))

    def of(self, held: Int64s, emitted: Int64s) -> Floats:
        """Of requests, together: shape (2, AHEAD).

        Args:
            held: tokens of KV that each has, or will have once prefilled, shape (n,). emitted: of its answer.
        """
        then = emitted[:, None] + AHEAD
        if self._survival is None:
            stays = (then <= np.maximum(emitted[:, None], self._unseen)).astype(np.float64)
        else:
            stays = self._survival.stays(emitted, AHEAD)
        then_held = held[:, None] + AHEAD
        mean, variance = stays * then_held, stays * (1 - stays) * then_held**2
        return np.stack([mean.sum(axis=0), variance.sum(axis=0)])

    def left(self, emitted: Int64s) -> Floats:
        """Tokens that answers with so many are still to have, on average: shape (n,)."""
        if self._survival is None:
            return np.maximum(self._unseen - emitted, self._unseen / 8)
        return self._survival.left(emitted)

    def fits(self, more: Floats) -> bool:
        """Whether requests with such tokens fit beside the others."""
        return bool(self.peak(self.tokens + more) <= self._most)

    @staticmethod
    def peak(tokens: Floats) -> float:
        """The most tokens at any of `AHEAD` that are kept free."""
        mean, variance = tokens
        return float((mean + SURE * np.sqrt(variance)).max())

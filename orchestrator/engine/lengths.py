"""How long answers of a replica have been so far, for those who must book room before they know.

The estimate is that of Kaplan and Meier (JASA 53, 1958): answers that have ended are events, those that still
grow are censored at what they have, so that the long ones, which end last, are not forgotten. Beyond the
longest answer seen the tail is taken to go on as long as it has come (our choice).
"""

from collections.abc import Callable

import numpy as np

from l3sim.units import Floats, Int64s

#: Answers that must have ended before they are believed.
FEW = 32
#: Tokens that an answer is taken to have until then. Assumed: long, as those of reasoning models, for one that
#: is booked too large frees its room when it ends, and one booked too small costs another its KV.
UNSEEN = 8192
#: The same in GPU memory beside modules, which few can share, and which lose little while they are young.
UNSEEN_BESIDE = 256
#: The estimate is made anew when so many more (a share) have ended.
GROWN = 0.1


class OutputLengths:
    """The lengths of answers that have ended, and what they let expect."""

    def __init__(self) -> None:
        self._ended: list[int] = []
        self._known = 0
        self._grid: Int64s = np.zeros(1, dtype=np.int64)
        self._mean: Floats = np.zeros(1)

    def __len__(self) -> int:
        return len(self._ended)

    def add(self, tokens: int) -> None:
        """An answer has ended."""
        self._ended.append(tokens)

    def expected(self, emitted: int, running: Callable[[], Int64s]) -> int | None:
        """Tokens that an answer is still to have which has this many; None: too few have ended.

        Args:
            running: tokens of the answers that go on, shape (n,); asked only where it matters.
        """
        if len(self._ended) < FEW:
            return None
        if len(self._ended) >= self._known * (1 + GROWN):
            self._known = len(self._ended)
            self._grid, self._mean = mean_residual(np.array(self._ended, dtype=np.int64), running())
        at = int(np.searchsorted(self._grid, emitted, side="right")) - 1
        # Between two lengths at which answers ended nothing is learned: what is left shrinks.
        left = self._mean[at] - (emitted - self._grid[at])
        return max(int(left), 1)


def mean_residual(ended: Int64s, running: Int64s) -> tuple[Int64s, Floats]:
    """Mean tokens left after each length at which an answer ended, 0 before them.

    Args:
        ended: lengths of answers that have ended, shape (n,), n > 0.
        running: tokens so far of those that go on, shape (m,).

    Returns: (lengths, ascending, the first 0; mean tokens left of answers longer than that), of one shape.
    """
    lengths, events = np.unique(ended, return_counts=True)
    both = np.sort(np.concatenate([ended, running]))
    at_risk = len(both) - np.searchsorted(both, lengths, side="left")
    survival = np.concatenate([[1.0], np.cumprod(1 - events / at_risk)])
    grid = np.concatenate([[0], lengths])
    # The area under the rest of the curve, over its height; beyond the end as long again.
    beyond = survival[-1] * grid[-1]
    area = np.concatenate([np.cumsum((survival[:-1] * np.diff(grid))[::-1])[::-1], [0.0]]) + beyond
    mean = np.where(survival > 0, area / np.maximum(survival, 1e-12), 0.0)
    return grid, mean

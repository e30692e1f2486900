"""How long answers of a replica have been so far, for those who must make room before they know.

The estimate is that of Kaplan and Meier (JASA 53, 1958): answers that have ended are events, those that still
grow are censored at what they have, so that the long ones, which end last, are not forgotten. Beyond the
longest answer seen the tail goes on at the rate at which answers have ended on the whole (our choice).
"""

import numpy as np

from l3sim.units import Floats, Int64s

#: Answers that must have ended before they are believed.
FEW = 8
#: Tokens that every answer is taken to have until then. Ours: the two errors do not cost the same. Where
#: answers are short the first end soon and teach; where they are long, what came in too early loses its KV.
UNSEEN = 8192
#: The estimate is made anew when so many more (a share) have ended.
GROWN = 0.05


class Survival:
    """The share of answers that are longer than so many tokens.

    Args:
        lengths: at which answers ended, ascending, the first 0, shape (n,).
        shares: longer than that, shape (n,).
        rate: at which answers end beyond the last one, a token.
    """

    def __init__(self, lengths: Int64s, shares: Floats, rate: float) -> None:
        self._lengths, self._shares, self._rate = lengths, shares, rate
        # The mean of min(length, x) at each length: the area under the curve.
        self._areas = np.concatenate([[0.0], np.cumsum(shares[:-1] * np.diff(lengths))])

    def longer(self, tokens: Int64s) -> Floats:
        """Share of answers that have more than so many tokens: shape of `tokens`."""
        shares = self._shares[np.searchsorted(self._lengths, tokens, side="right") - 1]
        beyond = np.maximum(tokens - self._lengths[-1], 0)
        result: Floats = shares * np.exp(-self._rate * beyond)
        return result

    def stays(self, tokens: Int64s, more: Int64s) -> Floats:
        """Share of answers with so many tokens that have so many more: shapes (n,), (m,) to (n, m).

        Where no answer that has ended was as long, they end at the rate of the tail.
        """
        now = self.longer(tokens)[:, None]
        then = self.longer((tokens[:, None] + more).ravel()).reshape(len(tokens), len(more))
        result: Floats = np.where(now > 0, then / np.maximum(now, 1e-12), np.exp(-self._rate * more))
        return result

    def left(self, tokens: Int64s) -> Floats:
        """Tokens that answers with so many are still to have, on average: shape of `tokens`."""
        at = np.searchsorted(self._lengths, tokens, side="right") - 1
        share = np.maximum(self._shares[at], 1e-12)
        end = self._shares[-1] / self._rate
        rest = self._areas[-1] - self._areas[at] - self._shares[at] * (tokens - self._lengths[at]) + end
        result: Floats = np.where(tokens >= self._lengths[-1], 1 / self._rate, rest / share)
        return result


class OutputLengths:
    """The lengths of answers that have ended, and what they let expect."""

    def __init__(self) -> None:
        self._ended: list[int] = []
        self._known = 0
        self._survival: Survival | None = None

    def __len__(self) -> int:
        return len(self._ended)

    def add(self, tokens: int) -> None:
        """An answer has ended."""
        self._ended.append(tokens)

    def survival(self, running: Int64s) -> Survival | None:
        """What is known of the length of answers; None: too few have ended.

        Args:
            running: tokens of the answers that go on, shape (n,).
        """
        if len(self._ended) >= max(FEW, self._known * (1 + GROWN)):
            self._known = len(self._ended)
            self._survival = survival_of(np.array(self._ended, dtype=np.int64), running)
        return self._survival


def survival_of(ended: Int64s, running: Int64s) -> Survival:
    """Of answers that have ended, at least one, and of those that go on: tokens of each, (n,) and (m,)."""
    lengths, events = np.unique(ended, return_counts=True)
    both = np.sort(np.concatenate([ended, running]))
    at_risk = len(both) - np.searchsorted(both, lengths, side="left")
    shares = np.concatenate([[1.0], np.cumprod(1 - events / at_risk)])
    return Survival(np.concatenate([[0], lengths]), shares, len(ended) / max(int(both.sum()), 1))

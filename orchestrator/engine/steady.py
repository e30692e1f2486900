r"""The steady part of a run, without its ramp and its tail.

    batch    |      ________________________________
             |   __/                                \__
             | _/                                      \____
             +--|------------------------------|------------------> time
               from: the batch is first        to: nothing waits any more or is still to
               as large as it gets             come, and what is left is the tail

In open loop requests come at their own times, and a batch that is large once says nothing: there the steady
part is between two instants that are known beforehand, the first arrival and the last, less warm-up and
cool-down.
"""

from dataclasses import dataclass

import numpy as np

from l3sim.units import Int64s


@dataclass(frozen=True)
class Part:
    """Successive rounds of a replica: the join before them, their last join, output tokens that they made."""

    from_ps: int
    to_ps: int
    tokens: int


class History:
    """What the rounds of one replica made, and what waited meanwhile.

    Args:
        between_ps: rounds wholly between these instants are steady (open loop); None: as drawn above.
    """

    def __init__(self, between_ps: tuple[int, int] | None = None) -> None:
        self._between = between_ps
        self._inside: Part | None = None
        #: (join before, last join, batch, tokens, whether anything waits or is to come) of each window.
        self._windows: list[tuple[int, int, int, int, bool]] = []

    def add(self, before_ps: int, joins_ps: Int64s, batch: int, tokens: int, waits: bool) -> None:
        """Note rounds that were taken of a window, all alike.

        Args:
            before_ps: the join before the first of them.
            joins_ps: of each, shape (rounds,).
            batch: requests that decode in each.
            tokens: output tokens that each makes.
            waits: whether a request is in the queue under their plan, or still to arrive.
        """
        if self._between is None:
            self._windows.append((before_ps, int(joins_ps[-1]), batch, tokens * len(joins_ps), waits))
            return
        starts = np.concatenate([[before_ps], joins_ps[:-1]])
        inside = np.flatnonzero((starts >= self._between[0]) & (joins_ps <= self._between[1]))
        if len(inside):
            begun = self._inside or Part(int(starts[inside[0]]), 0, 0)
            made = begun.tokens + tokens * len(inside)
            self._inside = Part(begun.from_ps, int(joins_ps[inside[-1]]), made)

    def steady(self) -> Part | None:
        """The steady part; None where there is none: the queue is empty before the batch is full."""
        if self._between is not None:
            return self._inside
        rows: Int64s = np.array(self._windows, dtype=np.int64).reshape(-1, 5)
        waiting = np.flatnonzero(rows[:, 4])
        if not len(waiting) or (first := int(np.argmax(rows[:, 2]))) > waiting[-1]:
            return None
        part = rows[first : waiting[-1] + 1]
        return Part(int(part[0, 0]), int(part[-1, 1]), int(part[:, 3].sum()))

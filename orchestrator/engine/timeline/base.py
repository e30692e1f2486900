"""What the timeline takes and gives: costs of rounds in, joins and stamps out. Rules: `docs/time.md`.

All times are int64 picoseconds of virtual time. One timeline serves one replica. Axes, always in this
order: round, pass s (0 or 1), layer class c (layer l costs what class l mod R costs), rankset j.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from l3sim.registry import Registry
from l3sim.units import Int64s


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for a whole job.

    Attributes:
        layers: L.
        ranksets: R, at least 1.
        overlap: False: D, U and K hold every rankset of the replica.
        half_duplex: False (`channel_bus: full`): no task holds `bus`.
    """

    layers: int
    ranksets: int
    overlap: bool
    half_duplex: bool


@dataclass(frozen=True, slots=True)
class RoundCosts:
    """Durations of k rounds' tasks; 0 where there is no such work. Any other is at least 1.

    A round with K has k = 1. All is in one array, so that compiled loops take a single argument;
    the other names are views into it that can be written.

    Attributes:
        rows: a row a round, int64, shape (k, `row_length(R)`): b_first, b_mid, b_last and p by pass, then
            d, a, u and kv by (s, class, j).
        ranksets: R.
        unchunked: pass s holds an unchunked prompt: its B(s,l+1) also waits for all K(s,l,j); shape (2,).
    """

    rows: Int64s
    ranksets: int
    unchunked: np.ndarray

    @classmethod
    def nothing(cls, rounds: int, ranksets: int) -> "RoundCosts":
        """Rounds without any work."""
        rows = np.zeros((rounds, row_length(ranksets)), dtype=np.int64)
        return cls(rows, ranksets, np.zeros(2, dtype=np.bool_))

    @property
    def rounds(self) -> int:
        """k."""
        return len(self.rows)

    @property
    def b_first(self) -> Int64s:
        """B(s,0) = embed + block_in, shape (k, 2); 0: sub-batch s is empty in every round."""
        return self._pair(B_FIRST)

    @property
    def b_mid(self) -> Int64s:
        """B(s,l+1) = block_out + block_in, shape (k, 2)."""
        return self._pair(B_MID)

    @property
    def b_last(self) -> Int64s:
        """B(s,L) = block_out + head, shape (k, 2)."""
        return self._pair(B_LAST)

    @property
    def p(self) -> Int64s:
        """P(s,l), shape (k, 2)."""
        return self._pair(P_COST)

    @property
    def d(self) -> Int64s:
        """D(s,l,j) for l mod R = c, shape (k, 2, R, R); 0 where a is 0, and only there, as is u."""
        return self._table(0)

    @property
    def a(self) -> Int64s:
        """A(s,l,j), shape (k, 2, R, R)."""
        return self._table(1)

    @property
    def u(self) -> Int64s:
        """U(s,l,j), shape (k, 2, R, R)."""
        return self._table(2)

    @property
    def kv(self) -> Int64s:
        """K(s,l,j), shape (k, 2, R, R)."""
        return self._table(3)

    def _pair(self, first: int) -> Int64s:
        return self.rows[:, first : first + 2]

    def _table(self, number: int) -> Int64s:
        square = 2 * self.ranksets**2
        first = TABLES + number * square
        return self.rows[:, first : first + square].reshape(-1, 2, self.ranksets, self.ranksets)


#: Where the parts of a row of costs begin: by pass; then the tables.
B_FIRST, B_MID, B_LAST, P_COST, TABLES = 0, 2, 4, 6, 8


def row_length(ranksets: int) -> int:
    """Length of a row of `RoundCosts.rows`."""
    return TABLES + 4 * 2 * ranksets**2


@dataclass(frozen=True, slots=True)
class Waits:
    """Which passes wait for the K tasks of an earlier round.

    Attributes:
        batch: number of a *batch*, the K tasks that one pass of one round made, as in `Outcome.batches`.
        passes: shape (2, R): [s, o] is True when sub-batch s has a decoding request of offset o that was
            in the batch's chunks, so that A(s,l,j) with j = (o + l) mod R waits for the batch's K(.,l,j).
    """

    batch: int
    passes: np.ndarray


#: Columns of `Outcome.spans`.
SPAN_COLUMNS = ("round", "pass", "layer", "task", "rankset", "start_ps", "end_ps")
#: Codes of the column `task`, in the order of service.
TASKS = "BPDAUK"


@dataclass(slots=True)
class Outcome:
    """What a call of `Timeline.simulate` did.

    Attributes:
        rounds: rounds taken, 1 to k.
        start_ps: round starts, shape (rounds,).
        join_ps: both passes ended, shape (rounds,).
        end_ps: end of B(s,L), shape (rounds, 2); 0 for an empty sub-batch.
        batches: numbers of the batches that the (only) round made, by pass; -1: it made none.
        spans: int64, shape (tasks, 7) as SPAN_COLUMNS, tasks that *ended* in this call; rankset -1: none.
            Empty unless the timeline records (`Timeline.record_rounds`).
    """

    rounds: int
    start_ps: Int64s
    join_ps: Int64s
    end_ps: Int64s
    batches: tuple[int, int] = (-1, -1)
    spans: Int64s = field(default_factory=lambda: np.zeros((0, len(SPAN_COLUMNS)), dtype=np.int64))


class Timeline(ABC):
    """What is busy when, exactly, for one replica.

    Between calls it remembers only what crosses a join: K tasks that wait or run, and which batch they
    belong to. Rounds are numbered from 0 over the life of the timeline.
    """

    #: Tasks of rounds below this are written to `Outcome.spans` (set before the first call).
    record_rounds: int = 0

    @abstractmethod
    def __init__(self, rules: Rules) -> None: ...

    @abstractmethod
    def simulate(
        self, costs: RoundCosts, start_ps: int, stop_ps: int, waits: list[Waits], gap_ps: int = 0
    ) -> Outcome:
        """Walk rounds one after the other, each starting `gap_ps` after the join before it.

        Args:
            costs: durations of k rounds.
            start_ps: when the first of them starts; not before any time walked so far.
            stop_ps: stop after the first join at or past this instant.
            waits: what decoding requests of these rounds wait for. Batches that have ended may be named.
            gap_ps: host time between two of these rounds, at least 0.

        K tasks left from earlier rounds are served meanwhile, also between the joins and before
        `start_ps`, and go on to wait for the next call after the last join. All task ends up to and
        including the last join have happened when it returns.
        """

    @abstractmethod
    def drain(self, until_ps: int) -> tuple[int, Int64s]:
        """Serve left K tasks while no round runs: all that happens up to and including `until_ps`.

        Returns: (the latest end of a K task in this call or -1, spans as in Outcome.spans). A task
        that starts at or before `until_ps` and ends later stays in flight.
        """

    @abstractmethod
    def copy(self) -> "Timeline":
        """Another one in the same state, which records no spans; neither knows of the other."""

    @abstractmethod
    def batch_end_ps(self, batch: int) -> int:
        """End of the last K task of a batch, or -1 while one waits or runs."""

    @abstractmethod
    def next_end_ps(self) -> int:
        """Between calls: when the K task that runs will end, or -1 while none runs."""

    @abstractmethod
    def pending(self) -> bool:
        """Whether a K task waits or runs."""


#: Composers by the name of the layer program that they walk.
TIMELINES: Registry[type[Timeline]] = Registry("layer program")

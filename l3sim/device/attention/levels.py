"""Levels of fidelity of attention modules behind one face: what the attend calls of a window cost.

An attend call is one layer of one sub-batch on one rank: its head groups one after the other.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from l3sim.device.attention.rank_sums import Decoding, RankSums, check_sum
from l3sim.placement import Layout
from l3sim.units import Floats, Int64s, nj, ps

LookedUp = TypeVar("LookedUp")
#: Seconds of one head over counts of tokens, the new one included; any shape.
HeadCost = Callable[[Int64s], Floats]
#: Picoseconds and nanojoules of a call over head groups of these tokens; whether the new token of each lies
#: here, None: of all.
CallCost = Callable[[Int64s, Sequence[bool] | None], tuple[int, int]]
#: Costs are tabled up to so many tokens (2 MB), and worked out anew beyond.
TABLE_TOKENS = 2**18


class LevelModel(ABC, Generic[LookedUp]):
    """Costs attend calls of one kind of rank."""

    @abstractmethod
    def look_up(self, requests: Decoding) -> LookedUp:
        """Prepare a window, once for all ranks of this kind.

        Raises:
            ValueError: a cost is beyond measure.
        """

    @abstractmethod
    def cost(self, looked_up: LookedUp, requests: Decoding, sums: RankSums) -> tuple[Int64s, Int64s]:
        """Duration (ps) and dynamic energy (nJ) of each call.

        Returns: two arrays of shape (sub-batches, ranksets, ranks of `sums`, rounds); 0 where no request is.
        """


class HeadModel(LevelModel[Int64s]):
    """Heads whose costs add up; energy is power x time."""

    def __init__(self, cost: HeadCost, active_w: float, layout: Layout) -> None:
        self._cost = cost
        self._active_w = active_w
        self._layout = layout

    def look_up(self, requests: Decoding) -> Int64s:
        """See LevelModel."""
        heads = requests.where_any(ps(self._cost(requests.tokens)))
        check_sum(int(heads.max()), len(heads), self._layout)
        return heads

    def cost(self, looked_up: Int64s, requests: Decoding, sums: RankSums) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        time = sums.add(looked_up, requests.bounds)
        return time, nj(self._active_w, time)

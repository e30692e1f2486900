"""Checks level `fast` against level `command` inside a job: `--check-fidelity P`.

Of a share P of the windows, chosen by the session's seed and the window's number, the first round's slowest
call of each sub-batch (among this process's ranks) is run command by command. What was found goes into the
account.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from l3sim.device.attention.levels import CallCost
from l3sim.device.attention.rank_sums import Decoding, RankSums
from l3sim.units import Int64s
from l3sim.work import Fidelity

PPM = 1_000_000


class Checked(Protocol):
    """A model of level `fast`, and the same at level `command`."""

    def exact(self) -> CallCost:
        """Costs of single calls at level `command`."""


class FidelityCheck:
    """Of one job.

    Args:
        share: of windows, 0 to 1.

    Attributes:
        found: so far.
    """

    def __init__(self, share: float, seed: int) -> None:
        self._share = share
        self._seed = seed
        self._exact: dict[Checked, CallCost] = {}
        self.found = Fidelity()

    def wants(self, window_id: int) -> bool:
        """Whether a window is among the sample; the same in any process."""
        drawn = hashlib.sha256(f"{self._seed}/{window_id}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") < self._share * 2**64

    def compare(
        self,
        requests: Decoding,
        models: Sequence[Checked],
        sums: Sequence[RankSums],
        times: Sequence[Int64s],
    ) -> None:
        """Run the slowest call of each sub-batch.

        Args:
            models, sums, times: of each kind of rank; what level `fast` said, as LevelModel.cost returns it.
        """
        calls, gap_ps, gap_ppm = 0, 0, 0
        for batch in range(len(times[0])):
            kind = int(np.argmax([time[batch, ..., 0].max() for time in times]))
            first = times[kind][batch, ..., 0]
            offset, rank = np.unravel_index(int(first.argmax()), first.shape)
            slowest = sums[kind].groups(requests.bounds, batch, int(offset), int(rank))
            slowest = slowest[requests.tokens[slowest, 0] > 0]
            if not len(slowest):
                continue
            fast_ps = int(first[offset, rank])
            exact = self._exact.setdefault(models[kind], models[kind].exact())
            exact_ps, _ = exact(requests.tokens[slowest, 0], requests.appended(slowest, 0))
            calls += 1
            gap_ps = max(gap_ps, abs(fast_ps - exact_ps))
            gap_ppm = max(gap_ppm, -(-abs(fast_ps - exact_ps) * PPM // exact_ps))
        self.found = self.found.joined(Fidelity(1, calls, gap_ps, gap_ppm))

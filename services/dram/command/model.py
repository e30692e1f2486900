"""What attend calls cost at level `command`."""

from collections.abc import Sequence

import numpy as np

from l3sim.device.attention.levels import LevelModel
from l3sim.device.attention.rank_sums import Decoding, RankSums
from l3sim.services.dram.command.kernel import Kernel
from l3sim.units import Floats, Int64s


class CommandModel(LevelModel[None]):
    """Level `command`: every call is run, equal ones once.

    Args:
        picojoules: of each column of a row (see `columns`), shape (WIDTH,).
    """

    def __init__(self, kernel: Kernel, picojoules: Floats) -> None:
        # Only here: a device that runs no commands does without the compiler.
        from l3sim import jit
        from l3sim.services.dram.command.result import attend

        jit.warm()
        self._attend = attend
        self._kernel = kernel
        self._picojoules = picojoules
        self._known: dict[bytes, tuple[int, int]] = {}

    def look_up(self, requests: Decoding) -> None:
        """See LevelModel."""

    def cost(self, looked_up: None, requests: Decoding, sums: RankSums) -> tuple[Int64s, Int64s]:  # noqa: ARG002
        """See LevelModel."""
        rounds = requests.tokens.shape[1]
        shape = sums.shape(requests.bounds)
        time, energy = (np.zeros((*shape, rounds), dtype=np.int64) for _ in range(2))
        for at in np.ndindex(*shape):
            here = sums.groups(requests.bounds, *at)
            for i in range(rounds if len(here) else 0):
                some = here[requests.tokens[here, i] > 0] if requests.starts else here
                if len(some):
                    call = self.call(requests.tokens[some, i], requests.appended(some, i))
                    time[at][i], energy[at][i] = call
        return time, energy

    def call(self, tokens: Int64s, appends: Sequence[bool] | None = None) -> tuple[int, int]:
        """Picoseconds and nanojoules of one call over head groups of these tokens.

        Args:
            appends: whether the new token of each lies here; None: of all.
        """
        key = tokens.tobytes() + bytes(appends or ())
        if key not in self._known:
            if len(self._known) >= 2**16:
                self._known.clear()
            took = self._attend(self._kernel, tokens.tolist(), appends=appends)
            picojoules = int(np.floor(took.values @ self._picojoules + 0.5))
            self._known[key] = took.cycles * self._kernel.pim.tck_ps, (picojoules + 500) // 1000
        return self._known[key]

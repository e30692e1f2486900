"""What an attend call costs on each rank, at three levels of fidelity behind one face.

| level      | what it is                                        | where                        |
|------------|---------------------------------------------------|------------------------------|
| `roofline` | rates and row openings, in closed form            | `roofline`                   |
| `command`  | every DRAM command under its constraints: slow    | `command/`                   |
| `fast`     | the command level's periods, carried on (default) | `fast/`: a table made by it  |

An attend call is one layer of one sub-batch on one rank: its head groups one after the other, from closed
rows to closed rows, the refresh counter starting anew; so its cost depends on the work alone. At `roofline`
and `fast` the costs of head groups add up, so that a window of many rounds and ranks is a few array
operations.
"""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np

from l3sim.device.sums import Decoding, RankSums, check_sum
from l3sim.placement import Layout
from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s, nj
from services.dimm_pim.command.columns import cycles_of
from services.dimm_pim.command.energy import weights
from services.dimm_pim.command.kernel import Kernel, kernel_of
from services.dimm_pim.fast import store
from services.dimm_pim.fast.table import AttendTable
from services.dimm_pim.roofline import TABLE_TOKENS, GroupCosts, head_group

LookedUp = TypeVar("LookedUp")


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

        Returns: two arrays of shape (sub-batches, ranksets, ranks of `sums`, rounds); 0 where nobody is.
        """


class RooflineModel(LevelModel[Int64s]):
    """Level `roofline`; energy is power x time."""

    def __init__(self, pim: DimmPimConfig, model: ModelShape, layout: Layout) -> None:
        self._groups = GroupCosts(head_group(pim, model, layout))
        self._layout = layout
        self._active_w = pim.rank_active_w

    def look_up(self, requests: Decoding) -> Int64s:
        """See LevelModel."""
        costs = self._groups.at(requests.tokens, requests.most)
        check_sum(int(costs.max()), len(requests.tokens), self._layout)
        return costs

    def cost(self, looked_up: Int64s, requests: Decoding, sums: RankSums) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        time = sums.add(looked_up, requests.bounds)
        return time, nj(self._active_w, time)


class FastModel(LevelModel[tuple[Int64s, Int64s]]):
    """Level `fast`: cycles and picojoules of head groups from the table."""

    def __init__(self, kernel: Kernel, layout: Layout, table: AttendTable) -> None:
        self.kernel = kernel
        self._layout = layout
        self._table = table
        self._picojoules = sum(weights(kernel).values())
        self._saving_pj = self._energy(table.saving)
        self._refresh_pj = self._energy(table.refresh)
        self._cycles: Int64s = np.zeros(1, dtype=np.int64)
        self._energies: Int64s = np.zeros(1, dtype=np.int64)

    def look_up(self, requests: Decoding) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        if requests.most >= TABLE_TOKENS:
            rows = self._table.groups(requests.tokens)
            cycles, energies = cycles_of(rows), self._energy(rows)
        else:
            if requests.most >= len(self._cycles):
                self._extend(min(max(2 * requests.most, 4096), TABLE_TOKENS))
            cycles, energies = self._cycles.take(requests.tokens), self._energies.take(requests.tokens)
        check_sum(int(cycles.max()) * self.kernel.pim.tck_ps, len(cycles), self._layout)
        return cycles, energies

    def cost(
        self, looked_up: tuple[Int64s, Int64s], requests: Decoding, sums: RankSums
    ) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        table, pim = self._table, self.kernel.pim
        groups = sums.add(np.ones((len(requests.tokens), 1), dtype=np.int64), requests.bounds)
        later = np.maximum(groups - 1, 0)
        work = sums.add(looked_up[0], requests.bounds) - later * table.saving_tck
        refreshes = table.refreshes(work)
        energy = (
            sums.add(looked_up[1], requests.bounds) - later * self._saving_pj + refreshes * self._refresh_pj
        )
        time = (work + refreshes * table.refresh_tck) * pim.tck_ps
        return time, (energy + 500) // 1000

    def _extend(self, tokens: int) -> None:
        """Tabulate up to so many tokens; the rows themselves are dropped, they are wide."""
        cycles, energies = [np.zeros(1, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
        for first in range(1, tokens, 4096):
            rows = self._table.groups(np.arange(first, min(first + 4096, tokens)))
            cycles.append(cycles_of(rows))
            energies.append(self._energy(rows))
        self._cycles, self._energies = np.concatenate(cycles), np.concatenate(energies)

    def _energy(self, rows: Int64s) -> Int64s:
        """Picojoules of rows, shape (..., WIDTH) to (...)."""
        rounded: Int64s = np.floor(rows @ self._picojoules + 0.5).astype(np.int64)
        return rounded


class CommandModel(LevelModel[None]):
    """Level `command`: every call is run, equal ones once."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._picojoules = sum(weights(kernel).values())
        self._known: dict[bytes, tuple[int, int]] = {}

    def look_up(self, requests: Decoding) -> None:
        """See LevelModel."""

    def cost(self, looked_up: None, requests: Decoding, sums: RankSums) -> tuple[Int64s, Int64s]:  # noqa: ARG002
        """See LevelModel."""
        rounds = requests.tokens.shape[1]
        shape = sums.shape(requests.bounds)
        time, energy = (np.zeros((*shape, rounds), dtype=np.int64) for _ in range(2))
        for at in np.ndindex(*shape):
            who = sums.groups(requests.bounds, *at)
            for i in range(rounds if len(who) else 0):
                time[at][i], energy[at][i] = self.call(requests.tokens[who, i])
        return time, energy

    def call(self, tokens: Int64s) -> tuple[int, int]:
        """Picoseconds and nanojoules of one call over head groups of so many tokens."""
        # The compiler is loaded by those who run commands, and by nobody else.
        from services.dimm_pim.command.result import attend

        key = tokens.tobytes()
        if key not in self._known:
            if len(self._known) >= 2**16:
                self._known.clear()
            took = attend(self._kernel, tokens.tolist())
            picojoules = int(np.floor(took.values @ self._picojoules + 0.5))
            self._known[key] = took.cycles * self._kernel.pim.tck_ps, (picojoules + 500) // 1000
        return self._known[key]


def level_model(pim: DimmPimConfig, model: ModelShape, layout: Layout) -> LevelModel[object]:
    """The model of a module's level.

    Raises:
        InvalidInput: the model does not fit the module's chips or buffers; the field is a key of its section.
        ValueError: a rate makes costs beyond measure.
    """
    made: LevelModel[object]
    if pim.level == "roofline":
        made = RooflineModel(pim, model, layout)  # type: ignore[assignment]
        return made
    kernel = kernel_of(pim, model, layout)
    if pim.level == "command":
        made = CommandModel(kernel)  # type: ignore[assignment]
    else:
        made = FastModel(kernel, layout, store.table_of(kernel))  # type: ignore[assignment]
    return made

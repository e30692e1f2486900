"""What attend calls cost at level `fast`."""

from collections.abc import Callable

import numpy as np

from l3sim.device.attention.levels import TABLE_TOKENS, CallCost, LevelModel
from l3sim.device.attention.rank_sums import Decoding, RankSums, check_sum
from l3sim.placement import Layout
from l3sim.services.dram.command.columns import cycles_of
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.model import CommandModel
from l3sim.services.dram.fast.table import AttendTable
from l3sim.units import Floats, Int64s

#: Gives the table of a kernel, made if there is none: `table_cache.table_of`, where files may be written.
TableOf = Callable[[Kernel], AttendTable]


class FastModel(LevelModel[tuple[Int64s, Int64s]]):
    """Level `fast`: cycles and picojoules of head groups from the table.

    Args:
        picojoules: of each column of a row (see `columns`), shape (WIDTH,).
    """

    def __init__(self, kernel: Kernel, layout: Layout, table: AttendTable, picojoules: Floats) -> None:
        self.kernel = kernel
        self._layout = layout
        self._table = table
        self._picojoules = picojoules
        self._saving_pj = self._energy(table.saving)
        self._append_pj = self._energy(table.append)
        self._refresh_pj = self._energy(table.refresh)
        self._cycles: Int64s = np.zeros(1, dtype=np.int64)
        self._energies: Int64s = np.zeros(1, dtype=np.int64)

    def look_up(self, requests: Decoding) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        if requests.most >= TABLE_TOKENS:
            rows = self._table.groups(np.maximum(requests.tokens, 1))
            cycles = requests.where_any(cycles_of(rows))
            energies = requests.where_any(self._energy(rows))
        else:
            if requests.most >= len(self._cycles):
                self._extend(min(max(2 * requests.most, 4096), TABLE_TOKENS))
            cycles, energies = self._cycles.take(requests.tokens), self._energies.take(requests.tokens)
        if requests.appends is not None:
            apart = (requests.tokens > 0) & ~requests.appends
            cycles = cycles - apart * self._table.append_tck
            energies = energies - apart * self._append_pj
        check_sum(int(cycles.max()) * self.kernel.pim.tck_ps, len(cycles), self._layout)
        return cycles, energies

    def cost(
        self, looked_up: tuple[Int64s, Int64s], requests: Decoding, sums: RankSums
    ) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        table, pim = self._table, self.kernel.pim
        groups = sums.add(requests.attending(), requests.bounds)
        later = np.maximum(groups - 1, 0)
        work = sums.add(looked_up[0], requests.bounds) - later * table.saving_tck
        refreshes = table.refreshes(work)
        energy = (
            sums.add(looked_up[1], requests.bounds) - later * self._saving_pj + refreshes * self._refresh_pj
        )
        time = (work + refreshes * table.refresh_tck) * pim.tck_ps
        return time, (energy + 500) // 1000

    def exact(self) -> CallCost:
        """Picoseconds and nanojoules of a call, at level `command`; see CommandModel.call."""
        return CommandModel(self.kernel, self._picojoules).call

    def _extend(self, tokens: int) -> None:
        """Tabulate up to this many tokens; the rows themselves are wide, and not kept."""
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

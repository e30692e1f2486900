"""What attend calls cost at level `fast`."""

from collections.abc import Callable

import numpy as np

from l3sim.device.attention.levels import TABLE_TOKENS, LevelModel
from l3sim.device.attention.rank_sums import Decoding, RankSums, check_sum
from l3sim.placement import Layout
from l3sim.services.dram.command.columns import cycles_of
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.model import CommandModel
from l3sim.services.dram.fast.table import AttendTable
from l3sim.units import Floats, Int64s

#: Gives the table of a kernel, made if there is none: `table_cache.table_of`, where files may be written.
TableOf = Callable[[Kernel], AttendTable]
#: Cycles and picojoules of head groups, shape (requests, rounds) each.
Groups = tuple[Int64s, Int64s]


class _Tabled:
    """Cycles and picojoules by tokens: each is worked out once, and then looked up."""

    def __init__(self, table: AttendTable, picojoules: Floats) -> None:
        self._table = table
        self._picojoules = picojoules
        self._cycles: Int64s = np.zeros(1, dtype=np.int64)
        self._energies: Int64s = np.zeros(1, dtype=np.int64)

    def at(self, tokens: Int64s, most: int) -> Groups:
        """Of counts of tokens, none above `most`."""
        if most >= TABLE_TOKENS:
            rows = self._table.groups(tokens)
            return cycles_of(rows), energy_of(rows, self._picojoules)
        if most >= len(self._cycles):
            self._extend(min(max(2 * most, 4096), TABLE_TOKENS))
        return self._cycles.take(tokens), self._energies.take(tokens)

    def _extend(self, tokens: int) -> None:
        """Tabulate up to this many tokens; the rows themselves are wide, and not kept."""
        cycles, energies = [np.zeros(1, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
        for first in range(1, tokens, 4096):
            rows = self._table.groups(np.arange(first, min(first + 4096, tokens)))
            cycles.append(cycles_of(rows))
            energies.append(energy_of(rows, self._picojoules))
        self._cycles, self._energies = np.concatenate(cycles), np.concatenate(energies)


class FastModel(LevelModel[tuple[Groups, Groups | None]]):
    """Level `fast`: cycles and picojoules of head groups from the table.

    Args:
        picojoules: of each column of a row (see `columns`), shape (WIDTH,).
    """

    def __init__(self, kernel: Kernel, layout: Layout, table: AttendTable, picojoules: Floats) -> None:
        self.kernel = kernel
        self._layout = layout
        self._table = table
        self._picojoules = picojoules
        self._saving_pj = energy_of(table.saving, picojoules)
        self._refresh_pj = energy_of(table.refresh, picojoules)
        self._groups = _Tabled(table, picojoules)
        self._alone = None if table.alone is None else _Tabled(table.alone, picojoules)

    def look_up(self, requests: Decoding) -> tuple[Groups, Groups | None]:
        """See LevelModel."""
        groups = self._groups.at(requests.tokens, requests.most)
        alone = None if self._alone is None else self._alone.at(requests.tokens, requests.most)
        most = max(int(found[0].max()) for found in (groups, alone) if found is not None)
        check_sum(most * self.kernel.pim.tck_ps, len(requests.tokens), self._layout)
        return groups, alone

    def cost(
        self, looked_up: tuple[Groups, Groups | None], requests: Decoding, sums: RankSums
    ) -> tuple[Int64s, Int64s]:
        """See LevelModel."""
        table, pim, bounds = self._table, self.kernel.pim, requests.bounds
        (cycles, energies), alone = looked_up
        groups = sums.add(np.ones((len(requests.tokens), 1), dtype=np.int64), bounds)
        later = np.maximum(groups - 1, 0)
        work = sums.add(cycles, bounds) - later * table.saving_tck
        energy = sums.add(energies, bounds) - later * self._saving_pj
        if alone is not None:
            short = requests.tokens <= table.segment_tokens
            single = [
                sums.add(np.where(short, one, other), bounds)
                for one, other in zip(alone, (cycles, energies), strict=True)
            ]
            work, energy = np.where(groups == 1, single[0], work), np.where(groups == 1, single[1], energy)
        refreshes = table.refreshes(work)
        energy = energy + refreshes * self._refresh_pj
        time = (work + refreshes * table.refresh_tck) * pim.tck_ps
        return time, (energy + 500) // 1000

    def exact(self) -> Callable[[Int64s], tuple[int, int]]:
        """Picoseconds and nanojoules of one call over head groups of these tokens, at level `command`."""
        return CommandModel(self.kernel, self._picojoules).call


def energy_of(rows: Int64s, picojoules: Floats) -> Int64s:
    """Picojoules of rows, shape (..., WIDTH) to (...)."""
    rounded: Int64s = np.floor(rows @ picojoules + 0.5).astype(np.int64)
    return rounded

"""From a published figure to ours: one assumption changes at a time, for both machines of the ratio."""

from collections.abc import Iterator
from dataclasses import dataclass

from l3sim.launch.reproduce.cells import Cell
from l3sim.launch.reproduce.hypotheses import REAL_MODULES, Settings, modules_with
from l3sim.launch.reproduce.plan import AS_PUBLISHED, OURS, ratio, run_of
from l3sim.launch.reproduce.runs import Outcomes, Run

_RESERVE: Settings = (("gpu.memory_bytes", str(80 * 2**30)), ("gpu.memory_reserve_share", "0.06"))
_LARGER: Settings = (("attention.rank_capacity_bytes", str(32 * 2**30)),)
_HOST: Settings = (
    ("host.schedule_us", "50.0"),
    ("host.output_us", "20.0"),
    ("scheduler.admit_watermark", "0.05"),
)
_LINK: Settings = (("link.pcie_efficiency", "0.85"), ("link.setup_us", "1.0"))
_PER_QUERY: Settings = (("gpu.attacc_kv_reads", "query-head"),)


@dataclass(frozen=True)
class Step:
    """What holds from here on, for L3 and for GPU-only."""

    text: str
    l3: Settings = ()
    gpu_only: Settings = ()
    of: str = AS_PUBLISHED

    def pair(self, cell: Cell, requests: int) -> tuple[Run, Run]:
        """The runs of a cell."""
        row = cell.row
        return (
            run_of(
                *("l3", row.model, row.workload, self.of, requests, self.l3), modules=modules_with(self.l3)
            ),
            run_of("gpu-only", row.model, row.workload, self.of, requests, self.gpu_only),
        )


STEPS = (
    Step("hypotheses H1 and H3, nearest to the published figure for QWEN", REAL_MODULES, _PER_QUERY),
    Step("GPUs read KV once for all query heads of a KV head (H3 alone)", REAL_MODULES),
    Step("L3's ranks are ideally balanced: all as the source states it"),
    Step("L3's own placement, DRAM commands and blocks of KV", REAL_MODULES),
    Step("capacities in GiB, 6 % of HBM in reserve", (*REAL_MODULES, *_RESERVE, *_LARGER), _RESERVE),
    Step(
        "the link's efficiency and set-up, stages of the host, room kept at admission",
        (*REAL_MODULES, *_RESERVE, *_LARGER, *_HOST, *_LINK),
        (*_RESERVE, *_HOST),
    ),
    Step("GPUs calibrated to measurements, with embedding and LM head: our machines", of=OURS),
)


def falls(cells: list[Cell]) -> list[Cell]:
    """The cells that a waterfall is drawn for: L3 on QWEN's long outputs, where ours differs most."""
    chosen = [cell for cell in cells if (cell.system, cell.row.model) == ("l3", "qwen-72b")]
    return [cell for cell in chosen if cell.row.workload in ("openr1", "dolphin")]


def runs_of(cells: list[Cell], requests: int) -> Iterator[Run]:
    """All runs of the waterfalls."""
    for cell in falls(cells):
        for step in STEPS:
            yield from step.pair(cell, requests)


def heights(cell: Cell, outcomes: Outcomes, requests: int) -> list[tuple[str, float | None]]:
    """(what changes, the ratio from there on), the published figure first."""
    found: list[tuple[str, float | None]] = [("published", cell.published)]
    for step in STEPS:
        one, other = step.pair(cell, requests)
        found.append((step.text, ratio(outcomes.get(one), outcomes.get(other))))
    return found

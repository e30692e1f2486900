"""Small rounds to work out by hand, and their spans as text. Times are picoseconds."""

import numpy as np

from l3sim.orchestrator.engine.timeline import TASKS, AttentionTimeline, Outcome, RoundCosts, Rules, Waits
from l3sim.units import Int64s
from tests.orchestrator.engine.timeline.packing import packed

LATE = 2**62


def costs(
    ranksets: int = 1,
    rounds: int = 1,
    passes: tuple[int, int] = (1, 0),
    b: object = 10,
    p: object = 0,
    d: object = 0,
    a: object = 0,
    u: object = 0,
    kv: object = 0,
    unchunked: bool = False,
) -> RoundCosts:
    """Costs of equal rounds; every block lasts `b`; tables broadcast to (pass, class, rankset)."""
    here = np.array(passes)

    def pair(cost: object) -> Int64s:
        pairs: Int64s = np.broadcast_to(np.asarray(cost) * here, (rounds, 2)).astype(np.int64)
        return pairs

    def table(cost: object) -> Int64s:
        every = np.broadcast_to(np.asarray(cost), (rounds, 2, ranksets, ranksets))
        tables: Int64s = (every * here[:, None, None]).astype(np.int64)
        return tables

    return packed(
        pair(b), pair(b), pair(b), pair(p), table(d), table(a), table(u), table(kv), np.array([unchunked] * 2)
    )


def timeline(
    layers: int = 1, ranksets: int = 1, overlap: bool = True, half_duplex: bool = True
) -> AttentionTimeline:
    made = AttentionTimeline(Rules(layers, ranksets, overlap, half_duplex))
    made.record_rounds = 1000
    return made


def read(spans: Int64s) -> list[str]:
    """Spans in order of start, as "D(pass,layer,rankset) start-end"."""
    rows = sorted(spans.tolist(), key=lambda row: (row[5], row[1:5]))
    return [
        f"{TASKS[kind]}({s},{layer}{'' if j < 0 else f',{j}'}) {start}-{end}"
        for _, s, layer, kind, j, start, end in rows
    ]


def simulate(
    line: AttentionTimeline, round_costs: RoundCosts, start_ps: int = 0, waits: tuple[Waits, ...] = ()
) -> Outcome:
    return line.simulate(round_costs, start_ps, LATE, list(waits))

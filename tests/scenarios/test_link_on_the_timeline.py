"""What the link's own costs do on the timeline: two sub-batches, both directions, prefill KV; four machines.

             half-duplex channel bus             full
overlap      one transfer at a time, other       down and up at once,
             ranksets attend meanwhile           each rankset alone
off          one transfer at a time,             likewise, and nobody attends
             nobody attends meanwhile            while anything moves

Costs come from the interconnect device for a real model; the timeline must agree with the brute force.
"""

from collections.abc import Iterable
from itertools import combinations

import pytest

from l3sim.device import Identity
from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.work import Chunk, Costs, Op
from tests.orchestrator.engine.timeline.brute_force import Machine, Pass, Request, Span
from tests.orchestrator.engine.timeline.cases import Call, Case
from tests.orchestrator.engine.timeline.runs import run_brute, run_timeline
from tests.services.builders import Resident, decoding, hello, machine, op_cost, window

RANKSETS = 4
#: A request in every rankset offset, of two in each sub-batch; all have 500 tokens.
RESIDENTS: list[Resident] = [(i, i % RANKSETS, 0, 500) for i in range(8)]
TRANSFERS = "DUK"


def link_costs(relayout: str) -> tuple[Costs, Costs]:
    """Of a round with two sub-batches and a chunk in the second, and of the same without the chunk."""
    session = InterconnectDevice([Identity("link")]).open(
        hello("link", machine("l3-mini", link__relayout=relayout), "llama-2-7b", 1)
    )
    first, second = RESIDENTS[:4], RESIDENTS[4:]
    places: list[Resident] = [*RESIDENTS, (8, 1, 0, 0)]
    chunk = [Chunk(8, 128, 0, True)]
    one, two = session.estimate(
        [
            window(decoding(first, 0), decoding(second, 1, chunk), residents=places),
            window(decoding(first, 0), decoding(second, 1), residents=places),
        ]
    )
    return one, two


def table(costs: Costs, op: Op, s: int) -> list[list[int]]:
    """[layer class][rankset]"""
    lanes = op_cost(costs, op, s).duration_ps[:, :, 0]
    return [[int(lanes[j, c]) for j in range(RANKSETS)] for c in range(RANKSETS)]


def work(costs: Costs, s: int, chunk: bool) -> Pass:
    nothing = [[0] * RANKSETS for _ in range(RANKSETS)]
    down = table(costs, Op.TRANSFER_DOWN, s)
    # Attention takes as long as some transfers, so that much happens at once.
    attend = [[3 * cost for cost in row] for row in down]
    return Pass(
        b_first=2_000_000,
        b_mid=4_000_000,
        b_last=3_000_000,
        prefill=1_000_000 if chunk else 0,
        down=down,
        attend=attend,
        up=table(costs, Op.TRANSFER_UP, s),
        kv=table(costs, Op.TRANSFER_KV, s) if chunk else nothing,
        batch="chunk" if chunk else None,
        requests=tuple(Request(o) for o in range(RANKSETS)),
    )


def case(overlap: bool, half: bool, relayout: str = "unit") -> Case:
    with_chunk, without = link_costs(relayout)
    calls = [
        Call([{0: work(with_chunk, 0, False), 1: work(with_chunk, 1, True)}]),
        Call([{0: work(without, 0, False), 1: work(without, 1, False)}]),
    ]
    return Case(Machine(6, RANKSETS, overlap=overlap, half_duplex=half, schedule_ps=1000), calls)


def at_once(some: Iterable[Span]) -> list[tuple[Span, Span]]:
    """Pairs of tasks that run at the same time."""
    return [(a, b) for a, b in combinations(some, 2) if max(a[5], b[5]) < min(a[6], b[6])]


@pytest.mark.parametrize("relayout", ["unit", "cpu"])
@pytest.mark.parametrize("half", [True, False], ids=["half", "full"])
@pytest.mark.parametrize("overlap", [True, False], ids=["overlap", "off"])
def test_the_timeline_is_the_brute_force(overlap: bool, half: bool, relayout: str) -> None:
    drawn = case(overlap, half, relayout)
    history = run_timeline(drawn)
    assert history == run_brute(drawn)
    assert history == run_timeline(drawn, skip=False)
    spans = [span for seen in history for span in seen.spans]
    moves = [span for span in spans if span[3] in TRANSFERS]
    assert {span[3] for span in moves} == set(TRANSFERS)
    assert {span[1] for span in moves} == {0, 1}
    together = at_once(moves)
    # On a half-duplex bus nothing; else a transfer down and one up, of different ranksets.
    assert all({a[3] == "U", b[3] == "U"} == {True, False} and a[4] != b[4] for a, b in together)
    assert bool(together) != (half or not overlap)
    attends = [span for span in spans if span[3] == "A"]
    beside = [(a, b) for a, b in at_once([*moves, *attends]) if "A" in (a[3], b[3]) and a[3] != b[3]]
    assert all(a[4] != b[4] for a, b in beside)  # a rank cannot attend while its bus moves data for it
    assert bool(beside) == overlap


def test_what_each_idealisation_gains() -> None:
    """Without prefill KV: a long K that starts earlier may be in the way of somebody's queries."""

    def end(overlap: bool, half: bool) -> int:
        drawn = case(overlap, half)
        return run_timeline(Case(drawn.machine, drawn.calls[1:]))[0].joins[-1]

    assert end(True, False) < end(True, True) < end(False, True)


def test_the_cpu_s_re_layout_is_longer_on_the_bus() -> None:
    unit, cpu = (run_timeline(case(True, True, who))[-2].joins[-1] for who in ("unit", "cpu"))
    assert unit < cpu

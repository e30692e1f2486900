"""The layer program `gpu`: one resource, so ends are sums, and order is that of service.

B0 A0 B1 A1 B2         one pass of two layers; with chunks: B0 P0 A0 B1 P1 A1 B2
"""

import numpy as np
import pytest

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.timeline import TASKS, GpuTimeline, RoundCosts, Rules
from tests.orchestrator.engine.timeline.packing import packed


def costs(b: tuple[int, int], p: tuple[int, int], a: list[tuple[int, int]]) -> RoundCosts:
    """Rounds of two passes; every B takes b."""
    rounds = len(a)
    dense = np.tile(np.array(b, dtype=np.int64), (rounds, 1))
    attend = np.array(a, dtype=np.int64)[:, :, None, None]
    nothing = np.zeros_like(attend)
    prefill = np.tile(np.array(p, dtype=np.int64), (rounds, 1))
    return packed(
        dense, dense, dense, prefill, nothing, attend, nothing, nothing, np.zeros(2, dtype=np.bool_)
    )


def test_one_pass_is_the_sum_of_its_tasks() -> None:
    timeline = GpuTimeline(Rules(2, 1, overlap=True, half_duplex=True))
    out = timeline.simulate(costs((10, 0), (0, 0), [(3, 0), (4, 0)]), 100, 10**6, [], gap_ps=5)
    assert out.join_ps.tolist() == [100 + 3 * 10 + 2 * 3, 136 + 5 + 3 * 10 + 2 * 4]
    assert out.start_ps.tolist() == [100, 141]
    assert out.end_ps[:, 1].tolist() == [0, 0]
    assert out.batches == (-1, -1)


def test_two_passes_take_turns_by_who_was_ready_first() -> None:
    timeline = GpuTimeline(Rules(1, 1, overlap=True, half_duplex=True))
    timeline.record_rounds = 1
    out = timeline.simulate(costs((10, 20), (0, 5), [(3, 4)]), 0, 10**6, [])
    told = [
        (TASKS[task], s, layer, start, end)
        for _, s, layer, task, rankset, start, end in out.spans.tolist()
        if rankset == -1
    ]
    assert told == [
        ("B", 0, 0, 0, 10),
        ("B", 1, 0, 10, 30),
        ("A", 0, 0, 30, 33),
        ("P", 1, 0, 33, 38),
        ("A", 1, 0, 38, 42),
        ("B", 0, 1, 42, 52),
        ("B", 1, 1, 52, 72),
    ]
    assert out.end_ps.tolist() == [[52, 72]]


def test_a_window_stops_after_the_join_that_passes_an_arrival() -> None:
    timeline = GpuTimeline(Rules(1, 1, overlap=True, half_duplex=True))
    out = timeline.simulate(costs((10, 0), (0, 0), [(5, 0)] * 3), 0, 26, [])
    assert (out.rounds, out.join_ps.tolist()) == (2, [25, 50])
    assert not timeline.pending()
    with pytest.raises(InvariantBroken, match="time is at 50 ps"):
        timeline.simulate(costs((10, 0), (0, 0), [(5, 0)]), 49, 100, [])

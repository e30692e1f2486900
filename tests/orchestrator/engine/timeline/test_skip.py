"""Skipping whole periods: it happens, and it changes nothing."""

import numpy as np
import pytest

from l3sim.orchestrator.engine.timeline import AttentionTimeline, RoundCosts, Rules
from l3sim.units import Int64s
from tests.orchestrator.engine.timeline.hand import LATE, costs, simulate
from tests.orchestrator.engine.timeline.packing import packed


def random_costs(rng: np.random.Generator, ranksets: int, rounds: int) -> RoundCosts:
    """Two passes whose costs differ by pass, class, rankset and round; some work absent."""
    shape = (rounds, 2, ranksets, ranksets)
    top = int(rng.choice([2, 5, 400]))
    decodes = rng.random((2, ranksets, ranksets)) < rng.choice([0.0, 0.5, 1.0, 1.0])
    here = np.array([(1, 1), (1, 1), (1, 0), (0, 1)][rng.integers(4)])

    def pair(scale: int) -> Int64s:
        pairs: Int64s = rng.integers(1, scale + 1, (rounds, 2)) * here
        return pairs

    def table(scale: int) -> Int64s:
        tables: Int64s = rng.integers(1, scale + 1, shape) * decodes * here[:, None, None]
        return tables

    chunks = rng.integers(0, 2)
    return packed(
        pair(4 * top),
        pair(4 * top),
        pair(4 * top),
        pair(top) * chunks,
        table(top),
        table(8 * top),
        table(top),
        np.zeros(shape, dtype=np.int64),
        np.zeros(2, dtype=bool),
    )


@pytest.mark.parametrize("seed", range(60))
def test_skipping_periods_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranksets = int(rng.integers(1, 5))
    rules = Rules(int(rng.integers(1, 97)), ranksets, bool(rng.integers(2)), bool(rng.integers(2)))
    window = random_costs(rng, ranksets, rounds=8)
    walked = AttentionTimeline(rules, skip=False)
    expected = walked.simulate(window, 0, LATE, [], 7)
    outcome = AttentionTimeline(rules).simulate(window, 0, LATE, [], 7)
    assert walked.skipped_layers == 0
    assert outcome.join_ps.tolist() == expected.join_ps.tolist()
    assert outcome.end_ps.tolist() == expected.end_ps.tolist()


def test_most_of_a_regular_round_is_skipped_but_never_while_recording_or_with_kv() -> None:
    window = costs(ranksets=4, passes=(1, 1), b=[400, 390], d=15, a=[390, 400, 410, 420], u=10)
    line = AttentionTimeline(Rules(96, 4, True, True))
    line.record_rounds = 1
    simulate(line, window)
    assert line.skipped_layers == 0
    outcome = simulate(line, window, start_ps=10**6)
    skipped = line.skipped_layers
    assert skipped > 48
    now = int(outcome.join_ps[0])
    simulate(line, costs(ranksets=4, passes=(1, 1), b=400, kv=1), start_ps=now)
    assert line.skipped_layers == skipped


def test_nothing_is_skipped_while_kv_of_an_earlier_round_is_left() -> None:
    joins = []
    for skip in (True, False):
        line = AttentionTimeline(Rules(16, 1, True, True), skip=skip)
        join = int(simulate(line, costs(b=1, kv=10)).join_ps[0])
        # Two passes keep the only rankset busy, so that most K tasks wait the whole round.
        decoding = costs(passes=(1, 1), b=1, d=1, a=50, u=1)
        outcome = simulate(line, decoding, start_ps=join)
        assert line.pending()
        assert line.skipped_layers == 0
        joins.append(outcome.join_ps.tolist())
    assert joins[0] == joins[1]

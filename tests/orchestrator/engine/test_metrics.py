"""What a replica counts."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.costs.assembler import PerRound, WindowCosts
from l3sim.orchestrator.engine.metrics import ReplicaMetrics, Tally
from l3sim.orchestrator.engine.timeline.base import Outcome
from tests.orchestrator.engine.timeline.packing import packed
from tests.orchestrator.small_jobs import numbers

PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), max_size=6)


@settings(max_examples=50, derandomize=True)
@given(st.lists(PAIRS, max_size=6))
def test_tally_counts(parts: list[list[tuple[int, int]]]) -> None:
    tally, expected = Tally(), Counter[int]()
    for part in parts:
        tally.add(numbers([value for value, _ in part]), numbers([count for _, count in part]))
        for value, count in part:
            expected[value] += count
    values, counts = tally.pairs()
    assert values.tolist() == sorted(expected)
    assert counts.tolist() == [expected[value] for value in values.tolist()]


def test_tally_keeps_large_numbers_exact_over_many_parts() -> None:
    tally = Tally()
    large = 2**60 + 1
    for _ in range(5000):
        tally.add(numbers([large, 3]), numbers([2**40, 1]))
    values, counts = tally.pairs()
    assert values.tolist() == [3, large]
    assert counts.tolist() == [5000, 5000 * 2**40]


def costs(rounds: int) -> WindowCosts:
    """The GPU is busy 10, 20, ... ps; the link always 7 down and 3 up."""
    one, square = np.ones((rounds, 2), dtype=np.int64), np.ones((rounds, 2, 1, 1), dtype=np.int64)
    durations = packed(one, one, one, one, square, square, square, square, np.zeros(2, dtype=np.bool_))
    ten = np.arange(1, rounds + 1) * 10
    busy: dict[str, PerRound] = {"gpu": ten, "attention": ten * 3, "link_down": 7, "link_up": 3}
    ranks = np.stack([ten, ten * 2])
    return WindowCosts(rounds, durations, ranks, busy, {"gpu": ten * 5, "attention": 2, "link": 1})


def outcome(start: list[int], join: list[int]) -> Outcome:
    return Outcome(len(join), numbers(start), numbers(join), np.array([[one, 0] for one in join]))


def test_only_rounds_that_were_taken_count() -> None:
    metrics = ReplicaMetrics()
    metrics.add_window(costs(4), outcome([105, 125], [120, 150]), previous_ps=100, decoding=6)
    assert metrics.busy_ps == {"gpu": 30, "attention": 90, "link_down": 14, "link_up": 6}
    assert metrics.energy_nj == {"gpu": 150, "attention": 4, "link": 2}
    assert (metrics.rounds, metrics.windows) == (2, 1)
    assert metrics.rank_ps is not None
    assert metrics.rank_ps.tolist() == [30, 60]
    # Join to join; active from a round's start to its join.
    assert [part.tolist() for part in metrics.iterations.pairs()] == [[20, 30], [1, 1]]
    assert metrics.iteration_ps == 50
    assert metrics.active_ps == 15 + 25
    assert metrics.batch_time == 6 * 50
    metrics.add_window(costs(1), outcome([200], [210]), previous_ps=190, decoding=2)
    assert metrics.batch_time == 6 * 50 + 2 * 20
    assert (metrics.max_batch, metrics.last_event_ps) == (6, 210)

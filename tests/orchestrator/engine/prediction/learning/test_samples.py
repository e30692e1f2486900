"""What is kept of the rounds of a run."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.prediction.learning.samples import (
    COLUMN,
    NO_MEMBERS,
    WIDTH,
    Reservoir,
    note_rounds,
    slowest_rank,
)
from l3sim.orchestrator.engine.timeline import RoundCosts


def reservoir(size: int, seed: int = 0) -> Reservoir:
    return Reservoir(size, np.random.Generator(np.random.PCG64(seed)))


def kept(windows: list[int], size: int, seed: int = 0) -> list[int]:
    """Round numbers kept when the rounds come in windows of so many."""
    found, number = reservoir(size, seed), 0
    for rounds in windows:
        for which, row in zip(*found.offer(rounds), strict=True):
            found.rows[row, 0] = number + which
        number += rounds
    return [int(row) for row in found.kept[:, 0]]


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 12))
def test_windows_do_not_matter(windows: list[int], size: int) -> None:
    assert kept(windows, size) == kept([1] * sum(windows), size)


def test_everything_is_kept_while_there_is_room() -> None:
    assert kept([3, 4], 10) == [0, 1, 2, 3, 4, 5, 6]


def test_every_round_has_the_same_chance() -> None:
    """Of 20 rounds 5 are kept: each in a quarter of 2,000 draws, give or take five deviations."""
    counts = np.zeros(20)
    for seed in range(2000):
        counts[kept([20], 5, seed)] += 1
    assert counts.sum() == 5 * 2000
    assert np.abs(counts / 2000 - 0.25).max() < 5 * (0.25 * 0.75 / 2000) ** 0.5


@settings(max_examples=50, derandomize=True)
@given(st.data())
def test_the_slowest_rank_is_that_of_the_longest_sum(data: st.DataObject) -> None:
    """Two ranksets of three ranks; ties go to the lowest rank."""
    some = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=6))
    groups, pace = (
        np.array(data.draw(st.lists(st.integers(low, 3), min_size=count, max_size=count))).reshape(-1, 3)
        for low, count in ((0, 9), (1, 6))
    )
    place, context = np.array(some, dtype=np.int64).reshape(-1, 2).T
    which = np.array([0, 4])
    load, counts = slowest_rank(place.copy(), context.copy(), groups, pace.astype(np.float64), which, 0)
    for number, later in enumerate(which.tolist()):
        sums = [
            (
                float(
                    sum((held + 1 + later) * groups[at % 3, rank] for at, held in some if at // 3 == offset)
                ),
                float(sum(groups[at % 3, rank] for at, _ in some if at // 3 == offset)),
            )
            for offset in range(2)
            for rank in range(3)
        ]
        paced = [(tokens * p, many * p) for (tokens, many), p in zip(sums, pace.ravel(), strict=True)]
        assert (load[number], counts[number]) == max(paced, key=lambda pair: pair[0])


@settings(max_examples=60, derandomize=True)
@given(st.data())
def test_what_is_noted_of_a_round_is_what_it_took(data: st.DataObject) -> None:
    """Two ranksets of two ranks, six rounds, two passes of which the second may be empty."""
    stream = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    costs = RoundCosts.nothing(6, 2)
    costs.rows[:] = stream.integers(0, 10**6, costs.rows.shape)
    decode = np.array([2, 0], dtype=np.int64)
    members = [(7, 300, decode[:1], np.array([40])), (0, 0, decode, np.array([10, 20]))]
    if data.draw(st.booleans()):
        members[1] = NO_MEMBERS
        costs.b_mid[:, 1] = 0
    offset, rank = np.array([1, 0, 0]), np.array([0, 1, 1])
    groups, pace = np.array([[3, 1], [1, 3]]), np.ones((2, 2))
    which = np.array(
        data.draw(st.lists(st.integers(0, 5), max_size=5, unique=True).map(sorted)), dtype=np.int64
    )
    into = np.array([data.draw(st.integers(0, 3)) for _ in which], dtype=np.int64)
    kept = np.full((4, 1 + 2 * WIDTH), -1.0)
    args = (costs.rows, 2, offset, rank, groups, pace, 0)
    note_rounds(kept, into, which, 100, (members[0], members[1]), *args)
    expected = {int(row): int(number) for row, number in zip(into, which, strict=True)}
    for row in range(4):
        if row not in expected:
            assert (kept[row] == -1).all()
            continue
        r = expected[row]
        assert kept[row, 0] == 100 + r
        for s, (chunks, finished, rows, context) in enumerate(members):
            place = offset[rows] * 2 + rank[rows]
            tokens, many = slowest_rank(place, context, groups, pace, np.array([r]), 0)
            took = {
                "decoding": len(rows),
                "t_batch": costs.b_mid[r, s],
                "chunk_tokens": chunks,
                "finished_tokens": finished,
                "t_p": costs.p[r, s] if chunks else 0,
                "t_kv": costs.kv[r, s, 0].sum() if chunks else 0,
                "rank_tokens": tokens[0] if len(rows) else 0,
                "rank_groups": many[0] if len(rows) else 0,
                "t_d": costs.a[r, s, 0].max() if len(rows) else 0,
                "t_comm": (costs.d[r, s, 0] + costs.u[r, s, 0]).sum() if len(rows) else 0,
            }
            columns = kept[row, 1 + s * WIDTH : 1 + (s + 1) * WIDTH]
            assert {name: columns[at] for name, at in COLUMN.items()} == took

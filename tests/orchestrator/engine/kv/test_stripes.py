"""Closed forms of striped KV against blocks that are laid one by one."""

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.stripes import on_rank, profile, runs_at
from l3sim.placement import Layout
from l3sim.testing.builders import small_layout, small_model
from tests.orchestrator.small_jobs import numbers

QUICK = settings(max_examples=60, derandomize=True, deadline=None)
RUNS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.integers(0, 40)), max_size=6)
STRIPES = st.sampled_from([0, 1, 2, 5])
LAYOUTS = st.builds(
    small_layout,
    ranksets=st.integers(1, 3),
    ranks=st.integers(1, 4),
    groups=st.integers(1, 6),
    kv_block_tokens=st.just(4),
    stripe_tokens=st.sampled_from([4, 8, 20]),
)


def step_of(block: int, stripe: int, ranks: int) -> int:
    return block // stripe % ranks if stripe else 0


@QUICK
@given(RUNS, STRIPES)
def test_runs_by_placement(runs: list[tuple[int, int, int]], stripe: int) -> None:
    """Two ranksets of three ranks; a run that ends before it begins is none."""
    expected: Counter[int] = Counter()
    for place, begin, end in runs:
        for block in range(begin, end):
            expected[place // 3 * 3 + (place % 3 + step_of(block, stripe, 3)) % 3] += 1
    places, first, upto = (numbers([run[column] for run in runs]) for column in range(3))
    assert runs_at(places, first, upto, stripe, 3, 6).tolist() == [expected[place] for place in range(6)]


@QUICK
@given(st.integers(0, 30), st.integers(0, 30), STRIPES, st.integers(1, 4), st.integers(1, 6))
def test_a_profile_is_seen_from_the_first_rank(
    first: int, more: int, stripe: int, ranks: int, groups: int
) -> None:
    expected: Counter[int] = Counter()
    for block in range(first, first + more):
        for group in range(groups):
            expected[(group + step_of(block, stripe, ranks)) % ranks] += 1
    counts = small_layout(ranks=ranks, groups=groups).group_counts
    assert profile(first, first + more, stripe, counts).tolist() == [expected[d] for d in range(ranks)]


@QUICK
@given(LAYOUTS, st.integers(1, 5), st.data())
def test_who_is_on_a_rank(layout: Layout, layers: int, data: st.DataObject) -> None:
    places = layout.ranksets * layout.ranks
    pieces = layout.pieces(layers)
    requests = data.draw(st.lists(st.tuples(st.integers(0, places - 1), st.integers(1, 30)), max_size=5))
    for rank in range(places):
        where, blocks = (numbers([one[column] for one in requests]) for column in range(2))
        found = on_rank(where, blocks, rank, layout.stripe_blocks, layout.ranks, pieces)
        assert found.tolist() == [
            any(pieces[at_step(layout, place, block), rank] for block in range(count))
            for place, count in requests
        ]


def at_step(layout: Layout, place: int, block: int) -> int:
    """The placement that a block of a request counts at."""
    own = place % layout.ranks
    step = step_of(block, layout.stripe_blocks, layout.ranks)
    return int(place - own + (own + step) % layout.ranks)


@QUICK
@given(LAYOUTS, st.integers(1, 5), st.data())
def test_the_longest_request_fits_and_a_block_more_does_not(
    layout: Layout, layers: int, data: st.DataObject
) -> None:
    model = small_model(layers=layers)
    places = layout.ranksets * layout.ranks
    unit = layout.block_bytes(model)
    room = numbers([data.draw(st.integers(0, 60)) * unit for _ in range(places)])
    shape = KvShape.of(layout, model, room)

    def taken(place: int, blocks: int) -> Any:
        total = np.zeros(places, dtype=np.int64)
        for block in range(blocks):
            total += shape.block_bytes[at_step(layout, place, block)]
        return total

    for place in range(places):
        blocks = int(shape.fit_tokens[place]) // layout.kv_block_tokens
        assert (taken(place, blocks) <= room).all()
        assert (taken(place, blocks + 1) > room).any()

"""Assignments become flat rank numbers, wherever the unused ones come."""

from dataclasses import replace

from l3sim.rank_map import RankMap
from l3sim.testing.builders import small_hello, small_layout
from l3sim.work import Hello, RankAssignment


def hello_of(*slots: tuple[RankAssignment, ...]) -> Hello:
    layout = small_layout(dp=2, ranks=4)
    names = [f"dimm-{number:02d}" for number in range(len(slots))]
    message = small_hello(names, names, layout=layout)
    return replace(
        message,
        slots=tuple(replace(slot, assignments=some) for slot, some in zip(message.slots, slots, strict=True)),
    )


def test_the_picture() -> None:
    first = (RankAssignment(0, 0, 2), RankAssignment(0, 1, 2))
    second = (RankAssignment(0, 2, 2), RankAssignment(0, 3, 2, unused=True))
    ranks = RankMap.of(hello_of(first, second), 0)
    assert ranks.flat == {(0, 0): 2, (0, 1): 6, (1, 0): 10}
    assert (ranks.index.tolist(), ranks.ranks.tolist(), ranks.assignments) == ([0, 1, 2], [2, 6, 10], 4)


def test_unused_ranks_may_come_first() -> None:
    slot = (RankAssignment(0, 3, 1, unused=True), RankAssignment(0, 1, 1))
    ranks = RankMap.of(hello_of(slot), 0)
    assert ranks.flat == {(0, 1): 5}
    assert ranks.index.tolist() == [1]


def test_other_replicas_are_left_out_but_counted() -> None:
    slots = ((RankAssignment(1, 0, 0),), (RankAssignment(0, 0, 3),))
    ranks = RankMap.of(hello_of(*slots), 0)
    assert (ranks.flat, ranks.index.tolist(), ranks.assignments) == ({(1, 0): 3}, [1], 2)


def test_an_address_without_ranks_has_an_empty_map() -> None:
    ranks = RankMap.of(hello_of(()), 0)
    assert (ranks.flat, ranks.ranks.tolist(), ranks.assignments) == ({}, [], 0)


def test_a_gpu_that_attends_is_the_only_rank_of_its_replica() -> None:
    assert RankMap.of_gpu(3).flat == {(0, 3): 0}

"""Prefill and admission, alike for every policy."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.policies import POLICIES
from l3sim.orchestrator.engine.policies.admission import ChunkBounds, plan_prefills
from l3sim.orchestrator.engine.queue import Queue
from l3sim.orchestrator.policies import Blocked
from l3sim.work import KvPlacement
from tests.orchestrator.engine.policies.views import Resident, predictor_of, shown, view_of


@settings(max_examples=200, derandomize=True)
@given(st.integers(1, 600), st.integers(0, 600), st.sampled_from([64, 100, 128, 256]))
def test_a_chunk_is_the_rest_or_the_largest_multiple_of_64(rest: int, room: int, least: int) -> None:
    sizes = [rest] if rest <= room else []
    sizes += [size for size in range(64, min(rest, room) + 1, 64) if size >= least]
    expected = rest if rest <= room else max(sizes, default=0)
    assert ChunkBounds(room, least).size(rest, room) == expected


def test_running_prefills_first_then_the_queue_each_to_the_lighter_pass() -> None:
    view = view_of([Resident(300, 100), Resident(90, 10), Resident(7, 7)], waiting=[70, 30, 500])
    prefills = plan_prefills(view, 2)
    assert shown(prefills.chunks) == [
        [(0, 200, 100, True)],
        [(1, 80, 10, True), (3, 70, 0, True), (4, 30, 0, True), (5, 64, 0, False)],
    ]
    assert [placed.request for placed in prefills.admitted] == [3, 4, 5]
    assert (prefills.blocked, prefills.unchunked) == ("", -1)


def test_a_chunk_that_is_cut_leaves_the_rest_of_its_prompt_for_later() -> None:
    prefills = plan_prefills(view_of([Resident(300, 100), Resident(90, 10)], waiting=[70]), 2)
    assert (prefills.tokens, prefills.lightest) == ([200, 150], 1)
    prefills.cut(0, 64)
    assert shown(prefills.chunks)[0] == [(0, 64, 100, False)]
    assert (prefills.tokens, prefills.lightest) == ([64, 150], 0)


def test_a_long_queue_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan over 10,000 requests that wait costs what it admits."""
    looked: list[int] = []
    walk = Queue.__iter__

    def noted(queue: Queue) -> Iterator[int]:
        for request in walk(queue):
            looked.append(request)
            yield request

    monkeypatch.setattr(Queue, "__iter__", noted)
    for policy in POLICIES:
        looked.clear()
        view = view_of([Resident(5, 5)], waiting=[50] * 10_000)
        plan = POLICIES.get(policy)().plan(view, predictor_of())
        assert len(looked) <= len(plan.admitted) + 1


def test_one_pass_takes_all() -> None:
    prefills = plan_prefills(view_of(waiting=[70, 30]), 1)
    assert shown(prefills.chunks) == [[(0, 70, 0, True), (1, 30, 0, True)]]


def test_a_round_prefills_no_more_than_the_limit() -> None:
    prefills = plan_prefills(view_of(waiting=[600, 600, 5]), 2)
    assert shown(prefills.chunks) == [[(0, 256, 0, False)], [(1, 256, 0, False)]]
    assert prefills.blocked == "chunk"
    assert [placed.request for placed in prefills.admitted] == [0, 1]


def test_nobody_overtakes_a_running_prefill_without_a_chunk() -> None:
    residents = [Resident(700, 0), Resident(700, 0), Resident(700, 64), Resident(65, 60)]
    prefills = plan_prefills(view_of(residents, waiting=[5]), 2)
    assert shown(prefills.chunks) == [[(0, 256, 0, False)], [(1, 256, 0, False)]]
    assert (prefills.blocked, prefills.admitted) == ("chunk", [])


def test_a_chunk_is_not_smaller_than_the_least_unless_it_is_the_rest() -> None:
    view = view_of(waiting=[200, 150, 100], min_chunk_tokens=128)
    prefills = plan_prefills(view, 1)
    # 56 tokens are left of 256: too few for a piece of 150.
    assert shown(prefills.chunks) == [[(0, 200, 0, True)]]
    assert prefills.blocked == "chunk"


@pytest.mark.parametrize(
    ("changes", "blocked"),
    [
        ({"room_tokens": 110}, "kv"),
        ({"gpu_tokens": 110}, "gpu_memory"),
        ({"barred": [1]}, "barred"),
        ({"room_tokens": 110, "gpu_tokens": 110}, "gpu_memory"),
    ],
)
def test_the_head_waits_and_nobody_overtakes_it(changes: dict[str, Any], blocked: str) -> None:
    residents = [Resident(90, 90)] if "gpu_tokens" not in changes else [Resident(90, 20)]
    prefills = plan_prefills(view_of(residents, waiting=[100, 1], **changes), 2)
    assert prefills.blocked == blocked
    assert prefills.admitted == []


def test_admissions_of_one_plan_share_the_gpu_memory() -> None:
    prefills = plan_prefills(view_of(waiting=[60, 60], gpu_tokens=100), 2)
    assert [placed.request for placed in prefills.admitted] == [0]
    assert prefills.blocked == "gpu_memory"
    assert len(plan_prefills(view_of(waiting=[60, 40], gpu_tokens=100), 2).admitted) == 2


def test_admissions_of_one_plan_share_the_kv_room() -> None:
    # A prompt books one token more than it has.
    prefills = plan_prefills(view_of(waiting=[60, 38, 1], room_tokens=100), 2)
    assert [placed.request for placed in prefills.admitted] == [0, 1]
    assert prefills.blocked == "kv"


def test_a_prompt_without_room_goes_unchunked_and_alone() -> None:
    prefills = plan_prefills(view_of(waiting=[390, 5], gpu_tokens=100), 2)
    assert shown(prefills.chunks) == [[(0, 390, 0, True)], []]
    assert (prefills.unchunked, prefills.blocked) == (0, "")
    assert [placed.request for placed in prefills.admitted] == [0]


@pytest.mark.parametrize("residents", [[], [Resident(20, 10)]])
def test_it_waits_until_nobody_else_prefills(residents: list[Resident]) -> None:
    waiting = [390] if residents else [5, 390]
    prefills = plan_prefills(view_of(residents, waiting=waiting, gpu_tokens=100), 2)
    assert (prefills.unchunked, prefills.blocked) == (-1, "gpu_memory")
    assert len(prefills.chunks[0]) == 1


def test_it_decodes_beside_others_that_decode() -> None:
    prefills = plan_prefills(view_of([Resident(20, 25)], waiting=[390], gpu_tokens=100), 2)
    assert prefills.unchunked == 0


def test_may_admit_is_asked_last_with_the_place_that_would_be_taken() -> None:
    asked: list[KvPlacement] = []

    def twice(placed: KvPlacement) -> Blocked:
        asked.append(placed)
        return Blocked.NOTHING if len(asked) < 3 else Blocked.ALIGNED

    prefills = plan_prefills(view_of(waiting=[20, 20, 20, 20]), 2, twice)
    assert prefills.blocked == "aligned"
    assert prefills.admitted == asked[:2]
    assert asked == [KvPlacement(0, 0, 0), KvPlacement(1, 1, 0), KvPlacement(2, 0, 0)]
    asked.clear()
    assert plan_prefills(view_of(waiting=[200], room_tokens=100), 2, twice).blocked == "kv"
    assert asked == []

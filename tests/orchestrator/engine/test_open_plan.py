"""How long a plan lasts, rule by rule (docs/time.md#scheduling-points)."""

from dataclasses import replace
from typing import Any

import pytest

from l3sim.orchestrator.engine.host_stages import HostStages, Limits
from l3sim.orchestrator.engine.membership import Membership
from l3sim.orchestrator.engine.open_plan import OpenPlan
from l3sim.orchestrator.engine.policies.base import NO_HORIZON, PassPlan, Plan
from l3sim.orchestrator.engine.reasons import Because, Blocked
from l3sim.work import NO_REQUESTS, Chunk
from tests.orchestrator.engine.test_membership import admit, members_of
from tests.orchestrator.small_jobs import numbers

CHUNK = (Chunk(1, 10, 0, last=True),)


def decoding(tokens: int = 1000, **limits: Any) -> tuple[Membership, Limits]:
    """Request 0 decodes, its first token made; it has four more to make."""
    members = members_of(tokens)
    members.enqueue(0)
    admit(members, 0)
    members.books.kv.prefill(Chunk(0, 10, 0, last=True))
    members.books.gpu.close(0)
    members.books.gpu.release(lambda batch: 0)
    members.books.table.emitted[0] = 1
    whole = Limits(max_window=4096, lookahead=2**31, host=HostStages(0, 0, 0, 0, 0, 0), aging_ps=1)
    return members, replace(whole, **limits)


def opened(members: Membership, limits: Limits, chunks: tuple[Chunk, ...] = (), **plan: Any) -> OpenPlan:
    passes = (PassPlan(numbers([0]), chunks), PassPlan(NO_REQUESTS))
    return OpenPlan(Plan(passes, **plan), members, limits)


@pytest.mark.parametrize(
    ("limits", "plan", "rounds"),
    [
        ({}, {}, 4),
        ({"max_window": 3}, {}, 3),
        ({"lookahead": 2}, {}, 2),
        ({}, {"horizon": 1}, 1),
        ({}, {"chunks": CHUNK}, 1),
        ({}, {"blocked": Blocked.GPU_MEMORY}, 4),
    ],
)
def test_a_window_is_as_long_as_the_least_that_may_end_it(
    limits: dict[str, Any], plan: dict[str, Any], rounds: int
) -> None:
    assert opened(*decoding(**limits), **plan).rounds_to_ask() == rounds


def test_room_bounds_a_window() -> None:
    members, limits = decoding(tokens=13)
    # Alone, its booking is bounded by what an empty replica holds.
    assert opened(members, limits).rounds_to_ask() == 4
    members, limits = decoding(tokens=27)
    members.enqueue(5)
    admit(members, 1)
    # 11 + 11 tokens are booked: blocks of one token, five of them are free.
    assert opened(members, limits).rounds_to_ask() == 4
    members, limits = decoding(tokens=23)
    members.enqueue(5)
    admit(members, 1)
    assert opened(members, limits).rounds_to_ask() == 2


def test_memory_that_comes_free_is_looked_for_at_every_join() -> None:
    members, limits = decoding()
    members.books.gpu.book(7, 10)
    members.books.gpu.add_batch(7, 0)
    members.books.gpu.close(7)
    assert opened(members, limits, blocked=Blocked.GPU_MEMORY).rounds_to_ask() == 1


def test_the_horizon_counts_over_windows() -> None:
    plan = opened(*decoding(max_window=2), horizon=3)
    assert plan.rounds_to_ask() == 2
    plan.rounds += 2
    assert (plan.rounds_to_ask(), plan.ended_by(arrived=False, freed=False)) == (1, Because.NOTHING)
    plan.rounds += 1
    assert plan.ended_by(arrived=False, freed=False) is Because.HORIZON


def test_an_end_comes_before_all_other_reasons() -> None:
    members, limits = decoding()
    plan = opened(members, limits, CHUNK)
    assert plan.ended_by(arrived=False, freed=False) is Because.CHUNK
    members.end([0])
    assert plan.ended_by(arrived=False, freed=False) is Because.FINISHED


def test_a_rank_without_room_ends_a_plan() -> None:
    members, limits = decoding(tokens=12)
    plan = opened(members, limits)
    members.enqueue(5)
    assert plan.ended_by(arrived=False, freed=False) is Because.NOTHING
    admit(members, 1)
    assert plan.ended_by(arrived=False, freed=False) is Because.ROOM


@pytest.mark.parametrize(("blocked", "because"), [(Blocked.GPU_MEMORY, "gpu_memory"), (Blocked.KV, "")])
def test_gpu_memory_ends_a_plan_only_for_a_head_that_waits_for_it(blocked: Blocked, because: str) -> None:
    plan = opened(*decoding(), blocked=blocked, horizon=NO_HORIZON)
    assert plan.ended_by(arrived=False, freed=True) == because


def test_an_arrival_is_remembered_until_the_head_fits() -> None:
    members, limits = decoding()
    plan = opened(members, limits)
    members.enqueue(5)
    # It waited already when the plan was made.
    assert plan.ended_by(arrived=False, freed=False) is Because.NOTHING
    assert plan.ended_by(arrived=True, freed=False) is Because.ARRIVAL
    # Where the head does not fit, its arrival is remembered until there is room.
    members, limits = decoding(tokens=20)
    plan = opened(members, limits)
    members.enqueue(5)
    assert plan.ended_by(arrived=True, freed=False) is Because.NOTHING
    members.books.kv.release([0])
    assert plan.ended_by(arrived=False, freed=False) is Because.ARRIVAL

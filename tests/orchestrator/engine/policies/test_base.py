"""What a plan says of itself."""

from l3sim.orchestrator.engine.policies.base import NO_HORIZON, POLICIES, PassPlan, Plan
from l3sim.work import Chunk
from tests.orchestrator.small_jobs import numbers

CHUNK = (Chunk(3, 64, 0, last=False),)


def test_a_pass_is_empty_without_decoding_requests_and_chunks() -> None:
    assert PassPlan().empty
    assert not PassPlan(numbers([1])).empty
    assert not PassPlan(chunks=CHUNK).empty


def test_a_plan_is_empty_when_both_passes_are() -> None:
    assert Plan((PassPlan(), PassPlan())).empty
    assert not Plan((PassPlan(), PassPlan(chunks=CHUNK))).empty


def test_decoding_requests_of_both_passes_come_in_order() -> None:
    plan = Plan((PassPlan(numbers([4, 2])), PassPlan(numbers([3]))))
    assert plan.decode.tolist() == [4, 2, 3]


def test_a_horizon_that_bounds_nothing_is_none() -> None:
    nothing = (PassPlan(), PassPlan())
    assert Plan(nothing).bounded_horizon is None
    assert Plan(nothing).horizon == NO_HORIZON
    assert Plan(nothing, horizon=64).bounded_horizon == 64


def test_every_policy_says_what_it_reads_and_where_it_is_for() -> None:
    for name in POLICIES:
        policy = POLICIES.get(name)
        assert policy.reads
        assert policy.passes in (1, 2)
        assert policy.placements <= {"attention", "gpu"}

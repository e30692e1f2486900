"""`chunked`: decode first, then prompts in order, cut where the budget ends."""

from typing import Any

from l3sim.orchestrator.engine.policies import POLICIES, Plan
from tests.orchestrator.engine.policies.views import Resident, predictor_of, requests_of, shown, view_of


def plan_of(*args: Any, **options: Any) -> Plan:
    return POLICIES.get("chunked")().plan(view_of(*args, **options), predictor_of())


def test_what_decoding_leaves_of_the_budget_goes_to_prompts() -> None:
    residents = [Resident(5, 9), Resident(50, 8), Resident(5, 400)]
    plan = plan_of(residents, waiting=[30, 1000], token_budget=110)
    assert [requests_of(part.decode) for part in plan.passes] == [[0, 2], []]
    # 108 tokens: the rest of a running prompt, a whole one, and any number of the next.
    assert shown([part.chunks for part in plan.passes]) == [
        [(1, 42, 8, True), (3, 30, 0, True), (4, 36, 0, False)],
        [],
    ]
    assert plan.considered == {"budget_left": 0}


def test_a_budget_that_decoding_fills_leaves_no_chunk_and_the_first_decode() -> None:
    plan = plan_of([Resident(5, 9)] * 5 + [Resident(50, 8)], waiting=[30], token_budget=3)
    assert requests_of(plan.passes[0].decode) == [0, 1, 2]
    assert plan.passes[0].chunks == ()
    assert plan.blocked == "chunk"


def test_no_more_residents_than_asked_for() -> None:
    plan = plan_of([Resident(5, 9)] * 2, waiting=[5, 6, 7], max_requests=4)
    assert [placed.request for placed in plan.admitted] == [2, 3]
    assert plan.blocked == "batch"
    assert len(plan_of([Resident(5, 9)] * 2, waiting=[5, 6, 7]).admitted) == 3


def test_a_chunk_is_never_above_the_limit_of_every_policy() -> None:
    plan = plan_of([], waiting=[500], token_budget=400, max_chunk_tokens=256)
    assert shown([plan.passes[0].chunks]) == [[(0, 256, 0, False)]]

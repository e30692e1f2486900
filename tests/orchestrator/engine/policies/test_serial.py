"""`serial`: one batch."""

from l3sim.orchestrator.engine.policies import NO_HORIZON, POLICIES
from tests.orchestrator.engine.policies.views import Resident, predictor_of, requests_of, shown, view_of


def test_all_in_pass_0() -> None:
    view = view_of([Resident(5, 9), Resident(50, 8), Resident(5, 400)], waiting=[30, 1000])
    plan = POLICIES.get("serial")().plan(view, predictor_of())
    assert [requests_of(part.decode) for part in plan.passes] == [[0, 2], []]
    assert shown([part.chunks for part in plan.passes]) == [
        [(1, 42, 8, True), (3, 30, 0, True), (4, 128, 0, False)],
        [],
    ]
    assert [placed.request for placed in plan.admitted] == [3, 4]
    assert (plan.horizon, plan.unchunked, plan.blocked) == (NO_HORIZON, -1, "")


def test_nothing_to_do_is_an_empty_plan() -> None:
    assert POLICIES.get("serial")().plan(view_of(), predictor_of()).empty


def test_the_block_is_told() -> None:
    plan = POLICIES.get("serial")().plan(view_of([Resident(5, 9)], [500], room_tokens=400), predictor_of())
    assert plan.blocked == "kv"
    assert not plan.empty

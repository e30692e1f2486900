"""A planner shows a policy the replica, asks first where its predictor must, and says how well it foresaw."""

from typing import Any

from l3sim.orchestrator.engine.membership import Membership
from l3sim.orchestrator.engine.planning.decisions import DecisionLog
from l3sim.orchestrator.engine.planning.planner import Given, Planner, prediction, view_of
from l3sim.orchestrator.engine.planning.regret import Study
from l3sim.orchestrator.engine.policies.base import PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.prediction.estimate_grid import Grid
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.orchestrator.engine.prediction.source import PredictorSource, TableSource
from l3sim.orchestrator.engine.reasons import Because
from l3sim.work import Chunk
from tests.orchestrator.engine.policies.views import predictor_of
from tests.orchestrator.engine.test_membership import admit, members_of
from tests.orchestrator.small_jobs import small_machine

OPTIONS = small_machine().scheduler
GIVEN = Given(OPTIONS)


class Everything(Policy):
    """All that decodes, decodes."""

    reads = frozenset[str]()

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:
        return Plan((PassPlan(view.decoding), PassPlan()))


class Curious(TableSource):
    """Must know something before the first plan holds."""

    asked = 0

    def questions(self) -> Grid | None:
        self.asked += 1
        return Grid((), (), ()) if self.asked == 1 else None


def planner_of(source: PredictorSource) -> Planner:
    return Planner(Everything(), GIVEN, source, DecisionLog(0), Study(0, 0))


def two_residents() -> Membership:
    """Request 0 decodes, request 1 is in prefill, request 2 waits."""
    members = members_of()
    members.enqueue(9)
    admit(members, 0, 1)
    members.books.kv.prefill(Chunk(0, 10, 0, last=True))
    return members


def test_a_view_has_residents_by_phase_and_the_preempted_barred() -> None:
    view = view_of(two_residents(), [2], GIVEN)
    assert (view.decoding.tolist(), view.prefilling, list(view.queue)) == ([0], [1], [2])
    assert view.barred == {2}
    assert view.options is OPTIONS


def test_trying_on_a_view_changes_no_books() -> None:
    members = two_residents()
    before = members.books.kv.booked_bytes().copy()
    view = view_of(members, [], GIVEN)
    place = view.kv.fits(11, 2)
    assert place is not None
    view.kv.admit(11, *place, 2)
    assert (members.books.kv.booked_bytes() == before).all()
    assert (view.kv.booked > before).any()


def test_a_plan_that_must_ask_first_is_not_written_down() -> None:
    planner, members = planner_of(Curious(predictor_of())), two_residents()
    assert isinstance(planner.plan(members, [], Because.START, 0), Grid)
    assert planner.log.plans == 0
    plan = planner.plan(members, [], Because.START, 0)
    assert isinstance(plan, Plan)
    assert plan.decode.tolist() == [0]
    assert planner.log.plans == 1


def test_a_policy_that_predicts_nothing_is_reported_so() -> None:
    found: dict[str, Any] = prediction([planner_of(TableSource(predictor_of()))], seed=0)
    assert (found["predictor"], found["trainings"]) == (None, 0)
    assert found["plans"]["gpu"] == {"samples": 0, "median": None, "p99": None}

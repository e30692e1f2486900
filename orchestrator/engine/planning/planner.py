"""A policy at work for one replica: what it predicts with, and the record of what it decided."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from l3sim.errors import L3Error
from l3sim.kinds import reason
from l3sim.orchestrator.engine.costs.assembler import WindowCosts
from l3sim.orchestrator.engine.membership import Membership
from l3sim.orchestrator.engine.planning.decisions import DecisionLog, error_summary
from l3sim.orchestrator.engine.planning.regret import Study
from l3sim.orchestrator.engine.policies.base import Plan, PlanView, Policy
from l3sim.orchestrator.engine.prediction.estimate_grid import Grid
from l3sim.orchestrator.engine.prediction.learning.accuracy import accuracy, nothing
from l3sim.orchestrator.engine.prediction.source import PredictorSource
from l3sim.orchestrator.engine.reasons import Because
from l3sim.orchestrator.engine.requests import Phase
from l3sim.orchestrator.engine.timeline.base import Outcome
from l3sim.origin import is_ours
from l3sim.specs.config import SchedulerConfig
from l3sim.work import Window

_DECODE = int(Phase.DECODE)  # looking a member up takes longer than the comparison


@dataclass(frozen=True, slots=True)
class Given:
    """What holds for all plans of a job.

    Attributes:
        options: the machine's, which policies read.
        layers: of the model.
        gap_ps: that may lie between two tokens of a request, the host's stages left out; None: unbounded.
    """

    options: SchedulerConfig
    layers: int = 1
    gap_ps: int | None = None


def view_of(members: Membership, preempted: Sequence[int], given: Given) -> PlanView:
    """What a policy sees of a replica now.

    Args:
        preempted: at this scheduling point, so not to be admitted at it.
    """
    table, kv = members.books.table, members.books.kv
    residents = kv.rows
    decoding = table.phase[residents] == _DECODE
    prefilling = residents[~decoding].tolist()
    if kv.arriving:  # they miss the round in which their KV moves
        decoding &= ~np.isin(residents, kv.arriving)
    return PlanView(
        table=table,
        decoding=residents[decoding],
        prefilling=prefilling,
        queue=members.queue,
        # One that was alone and outgrew GPU memory enters again at once, elsewhere.
        barred=frozenset(preempted if len(residents) else ()),
        kv=kv.view(),
        gpu=members.books.gpu,
        options=given.options,
        layout=kv.shape.layout,
        lengths=members.lengths,
        layers=given.layers,
        gap_ps=given.gap_ps,
    )


class Planner:
    """Makes plans, and sees what comes of them.

    Attributes:
        log: the decision records.
        study: the plans that are compared with their alternatives.
        learning_s: wall time spent on taking notice of what happened, for the predictor.
    """

    def __init__(
        self,
        policy: Policy,
        given: Given,
        source: PredictorSource,
        log: DecisionLog,
        study: Study,
    ) -> None:
        self.policy, self.source, self.log, self.study = policy, source, log, study
        self.learning_s = 0.0
        self._given = given

    def plan(
        self, members: Membership, preempted: Sequence[int], because: Because, now_ps: int
    ) -> Plan | Grid:
        """Make a plan, not applied yet; or say what the predictor must know first.

        Args:
            preempted: requests that this scheduling point preempted.
            because: why it is one.

        Raises:
            L3Error: a stranger's policy failed, or returned something else.
        """
        view = partial(view_of, members, preempted, self._given)
        seen = view()
        plan = self._decided(seen)
        questions = self.source.questions()
        if questions is not None:
            return questions
        self.study.note(self.log.plans, plan, view, self.source, because, now_ps)
        self.log.opened(plan, seen, len(preempted), because, now_ps)
        return plan

    def _decided(self, seen: PlanView) -> Plan:
        try:
            plan = self.policy.plan(seen, self.source.predictor)
        except Exception as error:
            if is_ours(self.policy) or isinstance(error, L3Error):
                raise
            raise L3Error(f"policy {type(self.policy).__name__}: {reason(error, self.policy)}") from error
        if not isinstance(plan, Plan):
            raise L3Error(f"policy {type(self.policy).__name__}: plan must return a Plan, got {plan!r}")
        return plan

    def commit(self, window: Window, costs: WindowCosts, outcome: Outcome) -> None:
        """Rounds of a window were taken; their tokens are not booked yet."""
        began = time.perf_counter()
        self.source.observe(window, costs, outcome.rounds)
        self.learning_s += time.perf_counter() - began
        self.log.commit(costs.durations, outcome)


def prediction(planners: Sequence[Planner], seed: int) -> dict[str, Any]:
    """How well a job's policy foresaw what happened, for the report.

    Counts of 0 and nulls where nothing was predicted, and in `random_split` and `last_fifth` where no
    predictor learned or the job was over before the first training.

    Args:
        planners: of all replicas, which are alike.
        seed: the job's.
    """
    trainers = [planner.source.trainer for planner in planners]
    known = [trainer for trainer in trainers if trainer is not None]
    trainings = sum(trainer.trainings for trainer in known)
    found = nothing()
    if trainings:
        passes = [trainer.samples.passes() for trainer in known]
        found = accuracy(passes, [trainer.samples.rounds for trainer in known], seed)
    return {
        "predictor": planners[0].source.name if planners[0].policy.predicts else None,
        "trainings": trainings,
        "plans": error_summary([planner.log for planner in planners]),
        **found,
    }

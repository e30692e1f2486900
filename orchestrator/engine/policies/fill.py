"""`fill`: memory first, two sub-batches. The baseline that the alignment of `l3` is measured against."""

import numpy as np

from l3sim.orchestrator.engine.policies.admission import PREFILL_KEYS, plan_prefills
from l3sim.orchestrator.engine.policies.base import POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.policies.partition import partition_lighter
from l3sim.orchestrator.engine.prediction.predictor import Predictor


@POLICIES.register("fill")
class Fill(Policy):
    """Admits while memory lasts; every resident decodes.

    Longest first, each goes to the sub-batch with fewer tokens (ties: 0).
    """

    reads = PREFILL_KEYS

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:  # noqa: ARG002 - needs no prediction
        """See Policy.plan."""
        prefills = plan_prefills(view, self.passes)
        held = view.table.held[view.decoding]
        order = view.decoding[np.lexsort((view.decoding, -held))]
        side = partition_lighter(view.table.held[order])
        return Plan(
            (
                PassPlan(order[side == 0], tuple(prefills.chunks[0])),
                PassPlan(order[side == 1], tuple(prefills.chunks[1])),
            ),
            tuple(prefills.admitted),
            unchunked=prefills.unchunked,
            blocked=prefills.blocked,
        )

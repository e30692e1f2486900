"""`serial`: one batch, no interleaving. The baseline without sub-batches."""

import numpy as np

from l3sim.orchestrator.engine.policies.admission import PREFILL_KEYS, plan_prefills
from l3sim.orchestrator.engine.policies.base import POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.work import NO_REQUESTS


@POLICIES.register("serial")
class Serial(Policy):
    """Admits while memory lasts; every resident decodes, all in pass 0."""

    reads = PREFILL_KEYS
    passes = 1

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:  # noqa: ARG002 - needs no prediction
        """See Policy.plan."""
        prefills = plan_prefills(view, self.passes)
        first = PassPlan(np.asarray(view.decoding), tuple(prefills.chunks[0]))
        return Plan(
            (first, PassPlan(NO_REQUESTS)),
            tuple(prefills.admitted),
            unchunked=prefills.unchunked,
            blocked=prefills.blocked,
        )

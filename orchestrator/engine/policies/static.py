"""`static`: request-level batching. A batch is formed, prefilled, and decoded until it has drained.

The baseline of Orca (Yu et al., OSDI 2022, section 2: "request-level scheduling"), as FasterTransformer
served: no request joins a running batch. One relief against the source: a request that has ended leaves, so
that no time goes into padding; the place stays empty.

    form: prefill, prefill, ... ── decode ── decode ── ... ── last one ends ── form ...
"""

import numpy as np

from l3sim.orchestrator.engine.policies.admission import PREFILL_KEYS, at_most, plan_prefills
from l3sim.orchestrator.engine.policies.base import POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.orchestrator.engine.reasons import Blocked
from l3sim.work import NO_REQUESTS


@POLICIES.register("static")
class Static(Policy):
    """Admits while memory (and `max_requests`) lasts; then no request until all residents have ended.

    No request decodes before the whole batch is prefilled. A preempted one comes back in the next batch.
    """

    reads = PREFILL_KEYS | {"max_requests"}
    passes = 1

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:  # noqa: ARG002 - needs no prediction
        """See Policy.plan."""
        table, decoding = view.table, np.asarray(view.decoding)
        # A request that holds more than was prefilled has decoded since its admission: the batch is running.
        if (table.held[decoding] > table.target[decoding]).any():
            waits = Blocked.BATCH if len(view.queue) else Blocked.NOTHING
            return Plan((PassPlan(decoding), PassPlan(NO_REQUESTS)), blocked=waits)
        prefills = plan_prefills(view, self.passes, at_most(view, view.options.max_requests))
        if prefills.chunks[0]:
            return Plan(
                (PassPlan(NO_REQUESTS, tuple(prefills.chunks[0])), PassPlan(NO_REQUESTS)),
                tuple(prefills.admitted),
                unchunked=prefills.unchunked,
                blocked=prefills.blocked,
            )
        idle = not len(decoding)
        return Plan(
            (PassPlan(decoding), PassPlan(NO_REQUESTS)),
            blocked=prefills.blocked if idle or not prefills.blocked else Blocked.BATCH,
        )

"""`fill`: memory first, two sub-batches. The baseline that the alignment of `l3` is measured against."""

import numpy as np

from l3sim.orchestrator.engine.policies.admission import PREFILL_KEYS, plan_prefills
from l3sim.orchestrator.engine.policies.balance import deal
from l3sim.orchestrator.engine.policies.base import POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.prediction.predictor import Predictor


@POLICIES.register("fill")
class Fill(Policy):
    """Admits while memory lasts; every resident decodes.

    Longest first, each goes to the sub-batch with fewer tokens on its own ranks (balance.py).
    """

    reads = PREFILL_KEYS

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:  # noqa: ARG002 - needs no prediction
        """See Policy.plan."""
        prefills = plan_prefills(view, self.passes)
        table, layout = view.table, view.layout
        order = view.decoding[np.lexsort((view.decoding, -table.held[view.decoding]))]
        place = table.offset[order] * layout.ranks + table.rank[order]
        tokens = layout.step_tokens(table.held[order]).astype(np.float64)
        side = deal(place, tokens, layout.group_counts, np.ones((layout.ranksets, layout.ranks)))
        return Plan(
            (
                PassPlan(order[side == 0], tuple(prefills.chunks[0])),
                PassPlan(order[side == 1], tuple(prefills.chunks[1])),
            ),
            tuple(prefills.admitted),
            unchunked=prefills.unchunked,
            blocked=prefills.blocked,
        )

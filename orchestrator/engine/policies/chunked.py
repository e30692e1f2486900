"""`chunked`: continuous batching with chunked prefill under a token budget, as single devices are scheduled.

After Sarathi-Serve (Agrawal et al., OSDI 2024: stall-free batching, section 4) and vLLM's V1 scheduler
(`vllm/v1/core/sched/scheduler.py`), whose rules agree: one batch; every running request gets its decode token
first; what the budget leaves goes to prompts in order of arrival, cut wherever the budget ends.

    token budget   | d d d d d | rest of a running prompt | head of the queue, cut |
"""

import numpy as np

from l3sim.orchestrator.engine.policies.admission import ChunkBounds, at_most, plan_prefills
from l3sim.orchestrator.engine.policies.base import POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.work import NO_REQUESTS


@POLICIES.register("chunked")
class Chunked(Policy):
    """One batch of at most `token_budget` tokens a round and `max_requests` residents, first come first.

    Where more requests decode than the budget has tokens, those admitted first decode.
    """

    reads = frozenset({"max_chunk_tokens", "admit_watermark", "token_budget", "max_requests"})
    passes = 1

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:  # noqa: ARG002 - needs no prediction
        """See Policy.plan."""
        options = view.options
        decode = np.asarray(view.decoding)[: options.token_budget]
        left = options.token_budget - len(decode)
        bounds = ChunkBounds(most=min(left, options.max_chunk_tokens), least=1, grain=1)
        prefills = plan_prefills(view, self.passes, at_most(view, options.max_requests), bounds)
        return Plan(
            (PassPlan(decode, tuple(prefills.chunks[0])), PassPlan(NO_REQUESTS)),
            tuple(prefills.admitted),
            unchunked=prefills.unchunked,
            blocked=prefills.blocked,
            considered={"budget_left": left - prefills.tokens[0]},
        )

"""The public face of scheduling policies: what a policy of one's own imports."""

from l3sim.orchestrator.engine.policies import (
    GROUP,
    NO_HORIZON,
    POLICIES,
    Blocked,
    PassPlan,
    Plan,
    PlanView,
    Policy,
    policy_named,
)
from l3sim.orchestrator.engine.policies.admission import (
    PREFILL_KEYS,
    ChunkBounds,
    MayAdmit,
    PrefillPlan,
    at_most,
    plan_prefills,
)
from l3sim.orchestrator.engine.prediction.predictor import Predictor

__all__ = [
    "GROUP",
    "NO_HORIZON",
    "POLICIES",
    "PREFILL_KEYS",
    "Blocked",
    "ChunkBounds",
    "MayAdmit",
    "PassPlan",
    "Plan",
    "PlanView",
    "Policy",
    "Predictor",
    "PrefillPlan",
    "at_most",
    "plan_prefills",
    "policy_named",
]

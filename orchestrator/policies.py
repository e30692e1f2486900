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

__all__ = [
    "GROUP",
    "NO_HORIZON",
    "POLICIES",
    "Blocked",
    "PassPlan",
    "Plan",
    "PlanView",
    "Policy",
    "policy_named",
]

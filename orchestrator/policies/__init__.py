"""Scheduling policies, registered by name."""

from orchestrator.policies import fill, l3, serial
from orchestrator.policies.base import NO_HORIZON, POLICIES, PassPlan, Plan, PlanView, Policy

__all__ = ["NO_HORIZON", "POLICIES", "PassPlan", "Plan", "PlanView", "Policy", "fill", "l3", "serial"]

"""Scheduling policies, registered by name; out-of-tree ones come as entry points of the group `GROUP`."""

from functools import cache
from importlib.metadata import entry_points

from l3sim.errors import InvalidInput
from l3sim.orchestrator.engine.policies import chunked, fill, l3, serial, static
from l3sim.orchestrator.engine.policies.base import NO_HORIZON, POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.reasons import Blocked

__all__ = [
    "GROUP",
    "NO_HORIZON",
    "ORIGINS",
    "POLICIES",
    "Blocked",
    "PassPlan",
    "Plan",
    "PlanView",
    "Policy",
    "chunked",
    "fill",
    "l3",
    "policy_named",
    "serial",
    "static",
]

#: Entry points of installed packages: `name = "module:ClassOfAPolicy"`.
GROUP = "l3sim.policies"
#: Package and version that each policy comes from which is not ours.
ORIGINS: dict[str, str] = {}


def policy_named(name: str) -> type[Policy]:
    """Look a policy up; installed packages are asked only for a name that is none of ours.

    Raises:
        InvalidInput: no such policy, or an entry point that cannot be loaded, is no policy, or has a taken
            name.
    """
    if name not in POLICIES:
        load_entry_points()
    return POLICIES.get(name)


@cache
def load_entry_points() -> None:
    """Register the policies of installed packages, once a process."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        what = f"entry point {point.name!r} of {GROUP} ({point.value})"
        try:
            found = point.load()
        except Exception as error:
            raise InvalidInput(("policy", f"{what} cannot be loaded: {error!r}")) from error
        if not (isinstance(found, type) and issubclass(found, Policy)):
            raise InvalidInput(("policy", f"{what} is no subclass of l3sim.orchestrator.policies.Policy"))
        if point.name in POLICIES:
            raise InvalidInput(("policy", f"{what}: there is a policy of that name; rename it"))
        POLICIES.register(point.name)(found)
        ORIGINS[point.name] = f"{point.dist.name} {point.dist.version}" if point.dist else point.value

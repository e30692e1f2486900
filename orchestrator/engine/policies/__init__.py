"""Scheduling policies, registered by name; out-of-tree ones come as entry points of the group `GROUP`."""

from importlib.metadata import entry_points

from l3sim.errors import InvalidInput
from l3sim.orchestrator.engine.policies import adaptive, chunked, fill, l3, serial, static
from l3sim.orchestrator.engine.policies.base import NO_HORIZON, POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.reasons import Blocked
from l3sim.specs.job import DEFAULT_POLICY

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
    "adaptive",
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


#: Names of the entry points that are registered: each is loaded once a process, a broken one at every call.
_loaded: set[str] = set()


def load_entry_points() -> None:
    """Register the policies of installed packages."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in _loaded:
            continue
        what = f"entry point {point.name!r} of {GROUP} ({point.value})"
        try:
            found = point.load()
        except Exception as error:
            raise InvalidInput(("policy", f"{what} cannot be loaded: {error!r}")) from error
        if not (isinstance(found, type) and issubclass(found, Policy)):
            raise InvalidInput(("policy", f"{what} is no subclass of l3sim.orchestrator.policies.Policy"))
        if point.name == DEFAULT_POLICY:
            raise InvalidInput(("policy", f"{what}: that name stands for the default policy; rename it"))
        if point.name not in POLICIES:
            POLICIES.register(point.name)(found)
        elif POLICIES.get(point.name) is not found:  # the same one: its module has registered it by itself
            raise InvalidInput(("policy", f"{what}: there is a policy of that name; rename it"))
        _loaded.add(point.name)
        ORIGINS[point.name] = f"{point.dist.name} {point.dist.version}" if point.dist else point.value

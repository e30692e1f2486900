"""What a policy of one's own imports is what the engine uses."""

from l3sim.orchestrator import policies
from l3sim.orchestrator.engine import policies as engines


def test_every_name_is_the_engines_own() -> None:
    assert {"Policy", "Plan", "PassPlan", "POLICIES"} < set(policies.__all__)
    for name in policies.__all__:
        assert getattr(policies, name) is getattr(engines, name), name

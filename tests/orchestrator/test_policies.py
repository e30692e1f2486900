"""What a policy of one's own imports is what the engine uses, and its faults are said in a line."""

from collections.abc import Callable
from typing import Any, cast

import pytest

import l3sim
from l3sim.errors import L3Error
from l3sim.orchestrator import policies
from l3sim.orchestrator.engine import policies as engines


def test_every_name_is_the_engines_own() -> None:
    assert {"Policy", "Plan", "PassPlan", "POLICIES"} < set(policies.__all__)
    assert policies.POLICIES is engines.POLICIES
    for name in set(policies.__all__) & set(vars(engines)):
        assert getattr(policies, name) is getattr(engines, name), name
    assert all(hasattr(policies, name) for name in policies.__all__)


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (
            lambda: 1 // 0,
            f"policy Stranger: {__file__}: ZeroDivisionError: ",
        ),
        (lambda: None, "policy Stranger: plan must return a Plan, got None"),
    ],
)
def test_a_strangers_fault_is_one_line_that_names_it(
    plan: Callable[[], Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stranger(policies.Policy):
        def plan(self, view: policies.PlanView, predictor: policies.Predictor) -> policies.Plan:
            return cast("policies.Plan", plan())

    monkeypatch.setitem(policies.POLICIES._members, "stranger", Stranger)
    with pytest.raises(L3Error) as failed:
        l3sim.run("fixed:16:4", machine="l3-mini", requests=2, policy="stranger")
    assert str(failed.value).startswith(text)

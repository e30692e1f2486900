"""Policies of installed packages, by entry point."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from l3sim.errors import InvalidInput
from l3sim.orchestrator.engine import policies
from l3sim.orchestrator.engine.policies import GROUP, POLICIES, Policy, policy_named
from l3sim.orchestrator.engine.policies.fill import Fill


class Elsewhere(Fill):
    """A policy of somebody else."""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    points: list[EntryPoint] = []
    monkeypatch.setattr(policies, "entry_points", lambda group: points if group == GROUP else [])
    known = dict(POLICIES._members)
    monkeypatch.setattr(policies, "_loaded", set())
    yield points
    POLICIES._members.clear()
    POLICIES._members.update(known)


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_one_is_found_by_its_name(installed: list[EntryPoint]) -> None:
    installed.append(point("elsewhere", f"{__name__}:Elsewhere"))
    assert policy_named("elsewhere") is Elsewhere
    assert issubclass(policy_named("elsewhere"), Policy)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            "no_such_module:Thing",
            "entry point 'odd' of l3sim.policies (no_such_module:Thing) cannot be loaded",
        ),
        ("json:dumps", "is no subclass of l3sim.orchestrator.policies.Policy"),
    ],
)
def test_a_bad_one_is_refused_by_name(installed: list[EntryPoint], value: str, text: str) -> None:
    installed.append(point("odd", value))
    with pytest.raises(InvalidInput) as refused:
        policy_named("odd")
    assert text in str(refused.value)
    # Ours do not care.
    assert policy_named("fill") is Fill


def test_a_taken_name_is_refused(installed: list[EntryPoint]) -> None:
    installed.append(point("fill", f"{__name__}:Elsewhere"))
    with pytest.raises(InvalidInput, match="there is a policy of that name; rename it"):
        policy_named("another")


def test_the_name_of_the_default_is_refused(installed: list[EntryPoint]) -> None:
    installed.append(point("auto", f"{__name__}:Elsewhere"))
    with pytest.raises(InvalidInput, match="that name stands for the default policy; rename it"):
        policy_named("another")


def test_one_may_have_registered_itself(installed: list[EntryPoint]) -> None:
    POLICIES.register("elsewhere")(Elsewhere)
    installed.append(point("elsewhere", f"{__name__}:Elsewhere"))
    with pytest.raises(InvalidInput, match="unknown policy 'nowhere'"):
        policy_named("nowhere")
    assert policy_named("elsewhere") is Elsewhere
    assert policies.ORIGINS["elsewhere"] == f"{__name__}:Elsewhere"


def test_a_bad_one_is_blamed_each_time_and_no_other(installed: list[EntryPoint]) -> None:
    installed += [point("elsewhere", f"{__name__}:Elsewhere"), point("odd", "no_such_module:Thing")]
    for _ in range(2):
        with pytest.raises(InvalidInput, match=r"'odd' of l3sim\.policies"):
            policy_named("nowhere")


@pytest.mark.usefixtures("installed")
def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"unknown policy 'fil'; did you mean 'fill'\?"):
        policy_named("fil")

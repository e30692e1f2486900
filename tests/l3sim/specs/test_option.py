"""An option is declared once: what is derived from that."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.job import JobSpec, check_job
from l3sim.specs.option import Option, check_bounds, deciding_options, declared, plain_options, shown_options
from l3sim.specs.workload import WorkloadSpec


@dataclass(frozen=True)
class Spec:
    plain: int = 3
    rounds: Annotated[int, Option("--many-rounds", "Rounds.", "K", 2, 9)] = 0
    rate: Annotated[float | None, Option("--rate", "Rate.", most=10, unit="a second")] = None
    name: Annotated[str, Option("--name", "Name.", empty=False, named="title")] = "a"
    fast: Annotated[bool, Option("--fast", "Fast.")] = False
    pairs: Annotated[tuple[str, ...], Option("--pairs", "Pairs.")] = ()


def test_declared_options_are_those_with_a_note() -> None:
    found = declared(Spec)
    assert list(found) == ["rounds", "rate", "name", "fast", "pairs"]
    assert [one.option.keyword for one in found.values()] == ["many_rounds", "rate", "name", "fast", "pairs"]
    rate = found["rate"]
    assert (rate.kind, rate.optional, rate.default) == (float, True, None)
    assert not found["rounds"].optional


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"rounds": 1}, "spec.rounds: must be 2 to 9, got 1"),
        ({"rounds": 10}, "spec.rounds: must be 2 to 9, got 10"),
        ({"rate": 0.0}, "spec.rate: must be above 0 and at most 10 a second, got 0.0"),
        ({"rate": 10.5}, "spec.rate: must be above 0 and at most 10 a second, got 10.5"),
        ({"rate": math.nan}, "spec.rate: must be above 0 and at most 10 a second, got nan"),
        ({"name": ""}, "spec.title: must not be empty"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_field(values: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_bounds(Spec(**values), "spec.")
    assert str(refused.value) == text


def test_bounds_and_defaults_are_taken() -> None:
    for values in ({}, {"rounds": 2}, {"rounds": 9}, {"rate": 10.0}, {"rate": 1e-9}):
        check_bounds(Spec(**values))


def test_plain_options_leave_out_what_has_no_value() -> None:
    assert plain_options(Spec()) == {"rounds": 0, "name": "a", "fast": False}
    assert plain_options(Spec(rate=2.0))["rate"] == 2.0


def test_no_two_options_share_a_flag() -> None:
    options = [one.option for spec in (JobSpec, WorkloadSpec) for one in declared(spec).values()]
    assert len({option.flag for option in options}) == len(options)
    assert all(option.help.endswith(".") for option in options)


def test_a_job_is_checked_with_its_workload() -> None:
    check_job(JobSpec(WorkloadSpec("openr1")))
    with pytest.raises(InvalidInput, match="seed: must be 0 to"):
        check_job(JobSpec(WorkloadSpec("openr1"), seed=2**64))
    with pytest.raises(InvalidInput, match=r"workload\.requests: must be 1 to"):
        check_job(JobSpec(WorkloadSpec("openr1", count=0)))


@dataclass(frozen=True)
class Told:
    rounds: Annotated[int, Option("--rounds", "Rounds.")] = 3
    pairs: Annotated[tuple[tuple[str, float], ...], Option("--pairs", "Pairs.")] = (("a", 0.5),)
    window: Annotated[int | None, Option("--window", "Window.", changes_result=False)] = None


def test_options_that_change_no_result_decide_nothing() -> None:
    assert deciding_options(Told(window=4)) == {"rounds": 3, "pairs": (("a", 0.5),)}


def test_options_are_shown_plain_values_first() -> None:
    shown = shown_options(Told())
    assert list(shown.items()) == [("rounds", 3), ("window", None), ("pairs", ["a:0.5"])]


def test_what_changes_no_result_is_declared_so() -> None:
    without = [name for name, one in declared(JobSpec).items() if not one.option.changes_result]
    assert without == ["max_window", "spans_rounds", "regret_plans"]
    assert all(one.option.changes_result for one in declared(WorkloadSpec).values())

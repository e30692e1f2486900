"""The compiled timeline is the brute force, to the picosecond; and a broken rule would be noticed.

This tests `walk`, `tasks`, `service`, `base` and `memory_map`, which make sense only together.

Every case is a small random job: windows of one or more rounds, idle gaps, drains, prefill KV that crosses
joins, requests that wait for it, preempted ones that no longer do (`cases.py`, `runs.py`).
"""

import ast
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.orchestrator.engine.timeline import brute_force
from tests.orchestrator.engine.timeline.brute_force import MUTATIONS
from tests.orchestrator.engine.timeline.cases import Case, draw_case
from tests.orchestrator.engine.timeline.runs import Seen, run_brute, run_timeline

#: A fixed set, on which each mutation must show.
SEEDS = range(60)

shapes = st.randoms(use_true_random=False)


def exact(examples: int) -> settings:
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None)


@exact(500)
@given(shapes)
def test_equals_brute_force(shape: Random) -> None:
    case = draw_case(shape)
    assert run_timeline(case) == run_brute(case)


@exact(120)
@given(shapes)
def test_window_equals_lockstep(shape: Random) -> None:
    case = draw_case(shape)
    assert run_timeline(case) == run_timeline(case, lockstep=True)


@exact(100)
@given(shapes)
def test_skipping_periods_changes_nothing(shape: Random) -> None:
    """Nothing is recorded, since a recorded round may well be walked to its end."""
    case = draw_case(shape, layers=(20, 40), calls=3)
    seen = run_timeline(case, record_rounds=0)
    assert seen == run_timeline(case, skip=False, record_rounds=0)
    assert seen == run_brute(case, record_rounds=0)


@exact(40)
@given(shapes, st.integers(0, 3))
def test_records_the_first_rounds_only(shape: Random, limit: int) -> None:
    case = draw_case(shape)
    assert run_timeline(case, record_rounds=limit) == run_brute(case, record_rounds=limit)


def test_the_brute_force_shares_no_code() -> None:
    tree = ast.parse(Path(brute_force.__file__).read_text(encoding="utf-8"))
    froms = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert froms | plain == {"collections.abc", "dataclasses", "heapq"}


@cache
def compiled(seed: int) -> tuple[Case, list[Seen]]:
    case = draw_case(Random(seed))
    return case, run_timeline(case)


def test_the_fixed_cases_agree() -> None:
    for case, seen in map(compiled, SEEDS):
        assert seen == run_brute(case)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_broken_rule_shows(mutation: str) -> None:
    assert any(seen != run_brute(case, mutation) for case, seen in map(compiled, SEEDS))


def test_the_fixed_cases_reach_what_they_should() -> None:
    """Else the tests above would prove little: K crosses joins and gaps, ends in drains, stops happen."""
    history = [seen for case, seen in map(compiled, SEEDS)]
    assert sum(seen.pending for calls in history for seen in calls) > 20
    assert sum(end_ps >= 0 for calls in history for seen in calls[:-1] for end_ps in seen.drained_ps) > 5
    assert any(
        len(seen.starts) < len(call.rounds)
        for case, calls in map(compiled, SEEDS)
        for call, seen in zip(case.calls, calls, strict=False)
    )

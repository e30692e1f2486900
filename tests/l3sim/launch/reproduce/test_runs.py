"""Runs that are kept: found again, never run twice, and refused by name."""

from dataclasses import replace
from pathlib import Path

import pytest

from l3sim.launch.reproduce import runs
from l3sim.launch.reproduce.runs import NOT_RUN, Outcome, Run, run_all, run_one

TINY = Run("l3-mini", "fixed:64:8", "llama-2-7b", "l3", 4)


def never(*_: object) -> None:
    raise AssertionError("it ran again")


def test_a_run_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_one(TINY, tmp_path)
    assert first.whole_tokens_per_s is not None
    assert first.whole_tokens_per_s > 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]
    monkeypatch.setattr(runs, "run_quietly", never)
    assert run_one(TINY, tmp_path) == first
    with pytest.raises(AssertionError, match="it ran again"):
        run_one(replace(TINY, requests=5), tmp_path)


def test_other_code_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_one(TINY, tmp_path)
    monkeypatch.setattr(runs, "_code", lambda: "other")
    assert run_one(TINY, tmp_path, kept=True) == Outcome(refused=NOT_RUN)


def test_what_is_refused_says_why_and_is_not_kept(tmp_path: Path) -> None:
    refused = run_one(replace(TINY, policy="nobody"), tmp_path)
    assert refused.refused.startswith("policy: unknown policy 'nobody'")
    assert not list(tmp_path.iterdir())


def test_nothing_runs_where_only_what_is_kept_is_asked_for(tmp_path: Path) -> None:
    found = run_all([TINY, TINY], tmp_path / "new", 0, never)
    assert found == {TINY: Outcome(refused=NOT_RUN)}


def test_each_run_is_told_once(tmp_path: Path) -> None:
    told = []
    found = run_all([TINY, TINY], tmp_path, 1, lambda run, _: told.append(run))
    assert told == [TINY]
    assert found[TINY].preemptions == 0


def test_a_run_may_bound_how_many_are_served_at_once() -> None:
    assert replace(TINY, concurrency=2).resolved().spec.workload.concurrency == 2
    assert TINY.resolved().spec.workload.concurrency is None
    assert replace(TINY, modules=8).on().attention.modules == 8

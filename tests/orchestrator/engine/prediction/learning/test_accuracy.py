"""How well terms are foreseen: on a random split, and late rounds from early ones."""

import numpy as np
import pytest

from l3sim.orchestrator.engine.prediction.learning.accuracy import TERMS, accuracy, nothing
from l3sim.orchestrator.engine.prediction.learning.samples import COLUMN
from tests.orchestrator.engine.prediction.learning.test_learned import passes_of

LINES = ("t_d", "t_comm")
NONE = {"samples": 0, "median": None, "p99": None}


def numbered(passes: np.ndarray) -> np.ndarray:
    """Passes as `Samples.passes` gives them: a round each, in order."""
    return np.column_stack([np.arange(len(passes)), passes])


def test_nothing_names_every_term_in_both_splits() -> None:
    assert nothing() == {split: dict.fromkeys(TERMS, NONE) for split in ("random_split", "last_fifth")}


def test_lines_are_foreseen_exactly_and_forests_nearly() -> None:
    found = accuracy([numbered(passes_of(600, chunks=300))], [600], seed=0)
    assert found.keys() == nothing().keys()
    for split in found.values():
        assert split.keys() == set(TERMS)
        for term in LINES:
            assert split[term]["median"] == pytest.approx(0.0, abs=1e-9)
        assert split["t_batch"]["median"] < 0.02
        assert split["t_batch"]["p99"] >= split["t_batch"]["median"]


def test_late_rounds_that_are_slower_are_seen_in_the_last_fifth_only_where_early_ones_train() -> None:
    passes = passes_of(1000)
    passes[800:, COLUMN["t_d"]] *= 2
    found = accuracy([numbered(passes)], [1000], seed=0)
    assert found["last_fifth"]["t_d"]["median"] == pytest.approx(0.5)
    assert 0 < found["random_split"]["t_d"]["median"] < 0.5


def test_too_few_samples_have_a_count_and_no_error() -> None:
    found = accuracy([numbered(passes_of(10))], [10], seed=0)
    assert found["random_split"]["t_d"] == {"samples": 10, "median": None, "p99": None}
    assert found["random_split"]["t_p"] == NONE


def test_each_replica_has_a_clock_of_its_own() -> None:
    """Rounds 80 to 99 are late in a replica of 100 rounds, though another one takes 200."""
    few, many = passes_of(100), numbered(passes_of(200, seed=1))
    few[80:, COLUMN["t_d"]] *= 2
    few = numbered(few)
    found = accuracy([few, many], [100, 200], seed=0)
    assert found["last_fifth"]["t_d"]["samples"] == 300
    assert found["last_fifth"]["t_d"]["p99"] == pytest.approx(0.5)
    assert found == accuracy([few, many], [100, 200], seed=0)

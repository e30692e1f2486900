"""Each kind of predictor by its name in `scheduler.predictor`, behind one face."""

import pytest

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.prediction.estimate_grid import GridAnswers
from l3sim.orchestrator.engine.prediction.learning.learned import FIRST_ROUNDS
from l3sim.orchestrator.engine.prediction.oracle import Oracle
from l3sim.orchestrator.engine.prediction.source import (
    LearnedSource,
    OracleSource,
    PredictorSource,
    TableSource,
    predictor_source,
)
from l3sim.testing.builders import small_layout
from tests.orchestrator.engine.kv.test_ledger import table_of
from tests.orchestrator.engine.policies.views import predictor_of
from tests.orchestrator.small_jobs import numbers

TABLES = predictor_of()


def source_of(kind: str) -> PredictorSource:
    return predictor_source(kind, small_layout(), 0, TABLES, table_of([5], [5]), seed=0)


@pytest.mark.parametrize(
    ("kind", "made"), [("tables", TableSource), ("learned", LearnedSource), ("oracle", OracleSource)]
)
def test_kinds_by_name(kind: str, made: type[PredictorSource]) -> None:
    source = source_of(kind)
    assert type(source) is made
    assert source.name == kind


def test_tables_speak_until_something_was_learned() -> None:
    for kind in ("tables", "learned"):
        source = source_of(kind)
        assert source.predictor is TABLES
        assert not source.due


def test_a_learned_one_is_due_when_enough_rounds_were_seen() -> None:
    source = source_of("learned")
    assert source.trainer is not None
    source.trainer.samples.rounds = FIRST_ROUNDS - 1
    assert not source.due
    source.trainer.samples.rounds = FIRST_ROUNDS
    assert source.due


def test_an_oracle_asks_what_a_plan_asked_of_it_once() -> None:
    source = source_of("oracle")
    assert isinstance(source.predictor, Oracle)
    assert source.questions() is None
    source.predictor.attend_group_ps(numbers([7, 7, 9]))
    grid = source.questions()
    assert grid is not None
    assert len(grid.attention) == 2
    assert (source.questions(), grid.gpu, grid.link) == (None, (), ())


@pytest.mark.parametrize("kind", ["tables", "learned"])
def test_one_that_asks_nothing_takes_no_answers(kind: str) -> None:
    source = source_of(kind)
    assert source.questions() is None
    with pytest.raises(InvariantBroken, match=f"the predictor '{kind}' asks nothing, but got answers"):
        source.enter(GridAnswers())

"""Where a policy's predictor comes from, by `scheduler.predictor`: one face for all kinds."""

from abc import ABC, abstractmethod
from typing import ClassVar

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.costs.assembler import WindowCosts
from l3sim.orchestrator.engine.prediction.estimate_grid import Grid, GridAnswers
from l3sim.orchestrator.engine.prediction.learning.learned import Trainer
from l3sim.orchestrator.engine.prediction.oracle import Oracle
from l3sim.orchestrator.engine.prediction.predictor import Predictor, Tables
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.placement import Layout
from l3sim.work import Window


class PredictorSource(ABC):
    """A predictor, and how it comes to know more.

    Attributes:
        name: its value of `scheduler.predictor`.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def predictor(self) -> Predictor:
        """What plans ask now."""

    @property
    def trainer(self) -> Trainer | None:
        """What trains it, if it learns."""
        return None

    def observe(self, window: Window, costs: WindowCosts, rounds: int) -> None:  # noqa: B027 - a hook
        """Rounds of a window were taken; their tokens are not booked yet."""

    @property
    def due(self) -> bool:
        """Whether to `train` before the next plan, which takes a while."""
        return False

    def train(self) -> None:  # noqa: B027 - a hook
        """Do what is due, before a plan is made."""

    def questions(self) -> Grid | None:
        """What the last plan asked and the predictor did not know; it is asked, then planned again."""
        return None

    def enter(self, answers: GridAnswers) -> None:  # noqa: ARG002 - of those that ask
        """Take the answers to `questions`.

        Raises:
            InvariantBroken: it asks nothing.
        """
        raise InvariantBroken(f"the predictor {self.name!r} asks nothing, but got answers")


class TableSource(PredictorSource):
    """`tables`: the devices' estimates at session start, and nothing more."""

    name = "tables"

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @property
    def predictor(self) -> Predictor:
        """See PredictorSource.predictor."""
        return self._tables


class LearnedSource(PredictorSource):
    """`learned`: trained anew, where it is due, before a plan."""

    name = "learned"

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    @property
    def predictor(self) -> Predictor:
        """See PredictorSource.predictor."""
        return self._trainer.predictor

    @property
    def trainer(self) -> Trainer:
        """See PredictorSource.trainer."""
        return self._trainer

    def observe(self, window: Window, costs: WindowCosts, rounds: int) -> None:
        """See PredictorSource.observe."""
        self._trainer.observe(window, costs, rounds)

    @property
    def due(self) -> bool:
        """See PredictorSource.due."""
        return self._trainer.due

    def train(self) -> None:
        """See PredictorSource.train."""
        self._trainer.train()


class OracleSource(PredictorSource):
    """`oracle`: the devices' own models."""

    name = "oracle"

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle

    @property
    def predictor(self) -> Oracle:
        """See PredictorSource.predictor."""
        return self._oracle

    def questions(self) -> Grid | None:
        """See PredictorSource.questions."""
        return self._oracle.questions()

    def enter(self, answers: GridAnswers) -> None:
        """See PredictorSource.enter."""
        self._oracle.enter(answers)


def predictor_source(
    kind: str, layout: Layout, replica: int, tables: Tables, table: RequestTable, seed: int
) -> PredictorSource:
    """The predictor source of one replica.

    Args:
        kind: `scheduler.predictor`.
    """
    if kind == LearnedSource.name:
        return LearnedSource(Trainer(layout, tables, table, (seed, replica)))
    if kind == OracleSource.name:
        return OracleSource(Oracle(layout, replica, tables))
    return TableSource(tables)

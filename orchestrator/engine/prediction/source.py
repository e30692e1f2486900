"""Where a policy's predictor comes from, by `scheduler.predictor`: one face for all kinds."""

from abc import ABC, abstractmethod
from typing import ClassVar

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.costs.assembler import WindowCosts
from l3sim.orchestrator.engine.prediction.estimate_grid import Grid, GridAnswers
from l3sim.orchestrator.engine.prediction.learning.learned import Learner
from l3sim.orchestrator.engine.prediction.oracle import Oracle
from l3sim.orchestrator.engine.prediction.predictor import Predictor, Tables
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.placement import Layout
from l3sim.work import Window


class Forecast(ABC):
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
    def learner(self) -> Learner | None:
        """Who learns, if anybody does."""
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
        """What the last plan asked and nobody knew: ask the devices, then plan again; None: nothing."""
        return None

    def enter(self, answers: GridAnswers) -> None:  # noqa: ARG002 - of those that ask
        """Take the answers to `questions`.

        Raises:
            InvariantBroken: it asks nothing.
        """
        raise InvariantBroken(f"the predictor {self.name!r} asks nothing, but got answers")


class Fixed(Forecast):
    """`tables`: the devices' estimates at session start, and nothing more."""

    name = "tables"

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @property
    def predictor(self) -> Predictor:
        """See Forecast.predictor."""
        return self._tables


class Learning(Forecast):
    """`learned`: trained anew, where it is due, before a plan."""

    name = "learned"

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    @property
    def predictor(self) -> Predictor:
        """See Forecast.predictor."""
        return self._learner.predictor

    @property
    def learner(self) -> Learner:
        """See Forecast.learner."""
        return self._learner

    def observe(self, window: Window, costs: WindowCosts, rounds: int) -> None:
        """See Forecast.observe."""
        self._learner.observe(window, costs, rounds)

    @property
    def due(self) -> bool:
        """See Forecast.due."""
        return self._learner.due

    def train(self) -> None:
        """See Forecast.train."""
        self._learner.train()


class Asking(Forecast):
    """`oracle`: the devices' own models."""

    name = "oracle"

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle

    @property
    def predictor(self) -> Oracle:
        """See Forecast.predictor."""
        return self._oracle

    def questions(self) -> Grid | None:
        """See Forecast.questions."""
        return self._oracle.questions()

    def enter(self, answers: GridAnswers) -> None:
        """See Forecast.enter."""
        self._oracle.enter(answers)


def forecast_of(
    kind: str, layout: Layout, replica: int, tables: Tables, table: RequestTable, seed: int
) -> Forecast:
    """The forecast of one replica.

    Args:
        kind: `scheduler.predictor`.
    """
    if kind == Learning.name:
        return Learning(Learner(layout, tables, table, (seed, replica)))
    if kind == Asking.name:
        return Asking(Oracle(layout, replica, tables))
    return Fixed(tables)

"""Part of a report: how well a policy foresaw what happened."""

from msgspec import Struct


class Errors(Struct, frozen=True):
    """Relative errors of predictions: median and 99th percentile (nearest rank)."""

    samples: int
    median: float | None
    p99: float | None


class PlanErrors(Struct, frozen=True):
    """Errors of the plans' predictions."""

    gpu: Errors
    attention: Errors


class TermErrors(Struct, frozen=True):
    """Errors of each term that a predictor learns."""

    t_p: Errors
    t_batch: Errors
    t_d: Errors
    t_comm: Errors


class Prediction(Struct, frozen=True):
    """What the policy foresaw, and how wrong it was."""

    predictor: str | None
    trainings: int
    plans: PlanErrors
    random_split: TermErrors
    last_fifth: TermErrors

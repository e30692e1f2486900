"""What a replica asks of the outside before it can go on, and the answer that each ask takes.

| ask | answer |
|---|---|
| `TrainingAsk` | None, when `train` has been called: it takes a while |
| `GridAsk` | `GridAnswers`: what the devices estimate, by role |
| `StudyAsk` | what each window would cost: for each, the answers of all addresses in order |
| `WindowAsk` | what the window costs: the answers of all addresses in order |
| `AuditAsk` | the accounts of the attention devices |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from l3sim.orchestrator.engine.prediction.estimate_grid import Grid
from l3sim.work import Window


@dataclass(frozen=True, slots=True)
class TrainingAsk:
    """Train the predictor. Touches nothing but the predictor, so that another thread may do it."""

    train: Callable[[], None]


@dataclass(frozen=True, slots=True)
class GridAsk:
    """Estimate windows that the predictor knows nothing of; the plan is made again with the answers."""

    grid: Grid


@dataclass(frozen=True, slots=True)
class StudyAsk:
    """Estimate what the alternatives of a plan would cost; nothing of it changes the run.

    Attributes:
        windows: what the GPUs hear.
        modules: the same, as modules and the link hear them (for_modules.py).
    """

    windows: Sequence[Window]
    modules: Sequence[Window]


@dataclass(frozen=True, slots=True)
class WindowAsk:
    """Cost the next window; each of the replica's addresses does.

    Attributes:
        window: what the GPUs hear.
        modules: the same, as modules and the link hear it (for_modules.py).
    """

    window: Window
    modules: Window


@dataclass(frozen=True, slots=True)
class AuditAsk:
    """Read the books of the attention devices, which have just answered a window."""


Ask = TrainingAsk | GridAsk | StudyAsk | WindowAsk | AuditAsk

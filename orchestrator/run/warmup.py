"""Gets ready what a job will call, in a thread before its sessions open, so that no window waits for it."""

import numpy as np

from l3sim import jit
from l3sim.orchestrator.engine.prediction.learning.forest import train


def warm(trains: bool) -> None:
    """Compile all entries, or load them; later calls in the same process return at once.

    Args:
        trains: whether predictors will be trained: then scikit-learn is loaded too, which takes a second.
    """
    jit.warm()
    if trains:
        train(np.ones((1, 2)), np.ones(1), 0, trees=1)

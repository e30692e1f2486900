"""How well the learned terms predict what they have not seen.

Two questions, asked once a job of models trained for the purpose: as published, of 1,000 samples with
distinct features, a random 80 % to train on and 20 % to test on; and, which is harder, the first 80 % of the
run's rounds to train on and the rest to test on. Errors are relative: |predicted - took| / took.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from l3sim.orchestrator.engine.prediction.learning.forest import distinct, train
from l3sim.orchestrator.engine.prediction.learning.learned import FOREST_TERMS, LEAST_SAMPLES, samples_of
from l3sim.orchestrator.engine.prediction.learning.linear import fit
from l3sim.units import Floats

#: The four terms; the published number of samples, and the share of them that is trained on.
TERMS = ("t_p", "t_batch", "t_d", "t_comm")
SAMPLES = 1000
TRAIN_SHARE = 0.8


def accuracy(passes: Sequence[Floats], rounds: Sequence[int], seed: int) -> dict[str, Any]:
    """Relative errors by term, for the report.

    Args:
        passes: of each replica, as `Samples.passes` gives them: (round number, columns of a pass).
        rounds: that each replica took.
        seed: the job's.
    """
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(4,))))
    # A replica's clock is its own: the share of its rounds that were over says early or late.
    everything = np.concatenate(passes)
    share = np.concatenate([some[:, 0] / max(count, 1) for some, count in zip(passes, rounds, strict=True)])
    late = share >= TRAIN_SHARE
    return {
        "random_split": {term: _random_split(term, everything[:, 1:], stream) for term in TERMS},
        "last_fifth": {
            term: _errors(
                term, samples_of(term, everything[~late, 1:]), samples_of(term, everything[late, 1:]), stream
            )
            for term in TERMS
        },
    }


def nothing() -> dict[str, Any]:
    """What `accuracy` says of a job in which nothing was learned."""
    none = {"samples": 0, "median": None, "p99": None}
    return {split: {term: dict(none) for term in TERMS} for split in ("random_split", "last_fifth")}


def _random_split(term: str, passes: Floats, stream: np.random.Generator) -> dict[str, Any]:
    features, times = distinct(*samples_of(term, passes))
    order = stream.permutation(len(times))[:SAMPLES]
    cut = int(len(order) * TRAIN_SHARE)
    train_on, test_on = order[:cut], order[cut:]
    return _errors(term, (features[train_on], times[train_on]), (features[test_on], times[test_on]), stream)


def _errors(
    term: str, train_on: tuple[Floats, Floats], test_on: tuple[Floats, Floats], stream: np.random.Generator
) -> dict[str, Any]:
    """Median and 99th percentile (nearest rank) of the relative error; None where there is too little."""
    train_on, test_on = distinct(*train_on), distinct(*test_on)
    found: dict[str, Any] = {"samples": len(train_on[1]) + len(test_on[1]), "median": None, "p99": None}
    seed = int(stream.integers(2**32))
    if len(train_on[1]) < LEAST_SAMPLES or not len(test_on[1]):
        return found
    predicted = _predict(term, train_on, test_on[0], seed)
    if predicted is None:
        return found
    errors = np.sort(np.abs(predicted - test_on[1]) / test_on[1])
    for name, percent in (("median", 50), ("p99", 99)):
        found[name] = float(errors[-(-percent * len(errors) // 100) - 1])
    return found


def _predict(term: str, train_on: tuple[Floats, Floats], features: Floats, seed: int) -> Floats | None:
    """Predictions of a term's model; None where its line is undetermined."""
    if term in FOREST_TERMS:
        whole = features.astype(np.int64)
        return train(*train_on, seed).at(whole[:, 0].copy(), whole[:, 1].copy())
    a, b = fit(train_on[0][:, 0].copy(), train_on[0][:, 1].copy(), train_on[1])
    return None if np.isnan(a) else features[:, 0] * a + features[:, 1] * b

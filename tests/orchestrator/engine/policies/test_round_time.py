"""Predicted rounds, by hand."""

import numpy as np

from l3sim.orchestrator.engine.policies.round_time import Load, RoundTimes
from l3sim.orchestrator.engine.prediction.predictor import Tables
from tests.orchestrator.engine.policies.views import predictor_of
from tests.orchestrator.small_jobs import numbers


def times_of(beside_ps: float = 0.0) -> RoundTimes:
    """Dense layers 100 + 10 a token; the link 5 + 1 a request and 7 + 2 a chunk token."""
    tables = predictor_of(fc=(100.0, 10.0), comm=(5.0, 1.0, 7.0, 2.0))
    return RoundTimes(
        Tables(
            **{name: getattr(tables, name) for name in tables.__dataclass_fields__}
            | {"beside_ps": np.full((1, 2), beside_ps)}
        )
    )


def test_one_batch() -> None:
    """Dense layers, and then the longer of GPUs and modules."""
    assert times_of().one(Load(inside=4, slowest_ps=200.0)) == 140 + 200 + 5 + 4
    chunk = Load(inside=4, slowest_ps=200.0, chunk_tokens=6, prefill_ps=500.0)
    assert times_of().one(chunk) == 200 + 500
    assert times_of(300.0).one(Load(beside=2, beside_tokens=9, inside=4, slowest_ps=200.0)) == 160 + 300


def test_two_sub_batches_hide_dense_layers_and_read_weights_twice() -> None:
    assert times_of().two(Load(inside=4, slowest_ps=1000.0)) == 2 * (500 + 5 + 2)
    assert times_of().two(Load(inside=4, slowest_ps=10.0)) == 2 * 120


def test_the_shorter_of_both() -> None:
    assert times_of().best(Load(inside=4, slowest_ps=1000.0)) == (1014, 2)
    assert times_of().best(Load(inside=4, slowest_ps=10.0)) == (159, 1)
    # Nothing to interleave where modules have one request or none.
    assert times_of(1e6).best(Load(beside=8, beside_tokens=80))[1] == 1


def test_no_request_beside_costs_nothing() -> None:
    predictor = times_of(300.0)._predictor
    assert predictor.gpu_attend_ps(numbers([0, 3]), numbers([0, 30])).tolist() == [0, 300]

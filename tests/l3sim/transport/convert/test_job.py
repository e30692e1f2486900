"""Jobs survive the wire, and what has not the form of a job is refused by field."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import Prefixes, Requests, WorkloadSpec
from l3sim.testing.builders import small_model
from l3sim.transport.convert.job import spec_from_proto, spec_to_proto
from l3sim.units import Int64s
from l3sim.v1 import job_pb2 as pb
from l3sim.v1.device_pb2 import ModelShape
from tests.l3sim.transport.equal import same

TEXT = st.text(max_size=8)
U32 = st.integers(0, 2**32 - 1)
COUNTS = st.integers(1, 2**32 - 1)
FACTORS = st.floats(1e-9, 1e9)
U63 = st.integers(0, 2**63 - 1)


@st.composite
def workloads(draw: st.DrawFn) -> WorkloadSpec:
    rows = draw(st.lists(st.tuples(U63, U63, U63, U32, U63, U63), max_size=4))
    *columns, number, tokens = np.array(rows, dtype=np.int64).reshape(len(rows), 6).T
    # Empty lists are not told from absent ones, so times, lines and prefixes come with at least one request.
    named = draw(st.booleans())
    prefixes = Prefixes(number, tokens) if rows and named else None
    prompt, output, arrival, line = columns
    listed = draw(st.booleans())
    arrivals = draw(st.sampled_from(["", "rate", "concurrency"]))
    return WorkloadSpec(
        name=draw(TEXT),
        count=None if listed else draw(U32),
        listed=replace(Requests(prompt, output, arrival, line, prefixes), **extras(prompt, line, draw))
        if listed
        else None,
        rate=draw(st.floats()) if arrivals == "rate" else None,
        concurrency=draw(U32) if arrivals == "concurrency" else None,
        speed=draw(st.floats(0, allow_infinity=False, exclude_min=True)),
        cv=draw(st.none() | FACTORS),
        think_s=draw(FACTORS),
        priorities=draw(st.lists(st.tuples(U32, FACTORS), max_size=3).map(tuple)),
        max_output=draw(st.none() | st.integers(1, 2**64 - 1)),
    )


def extras(limit: Int64s, priority: Int64s, draw: st.DrawFn) -> dict[str, Any]:
    """Priorities and limits, each there or not."""
    if not len(limit):
        return {}
    return {
        name: values if draw(st.booleans()) else None
        for name, values in (("priority", priority), ("limit", limit))
    }


SPECS = st.builds(
    JobSpec,
    workload=workloads(),
    machine=TEXT,
    model=TEXT | st.just(small_model()),
    policy=st.text(min_size=1, max_size=8),
    seed=st.integers(0, 2**64 - 1),
    tp=U32,
    dp=U32,
    max_window=COUNTS,
    settings=st.lists(st.tuples(st.text(min_size=1, max_size=8), TEXT), max_size=3).map(tuple),
    spans_rounds=U32,
    slo=st.lists(st.tuples(TEXT, FACTORS), max_size=3).map(tuple),
    oracle_lengths=st.booleans(),
    regret_plans=U32,
)


@given(SPECS)
def test_specs_survive(spec: JobSpec) -> None:
    back = spec_from_proto(pb.JobSpec.FromString(spec_to_proto(spec).SerializeToString()))
    if spec.workload.rate is not None and np.isnan(spec.workload.rate):
        assert back.workload.rate is not None
        assert np.isnan(back.workload.rate)
        nan_free = replace(spec.workload, rate=1.0)
        spec = replace(spec, workload=nan_free)
        back = replace(back, workload=replace(back.workload, rate=1.0))
    assert same(back, spec)


def test_what_is_left_out_has_its_default() -> None:
    listed = pb.ListedRequests(prompt_tokens=[5, 6], output_tokens=[7, 8])
    spec = spec_from_proto(pb.JobSpec(workload=pb.Workload(listed=listed)))
    assert spec.policy == "l3"
    assert spec.max_window == 4096
    assert spec.workload.speed == 1.0
    assert spec.workload.rate is None
    assert spec.workload.listed is not None
    assert spec.workload.listed.arrival_ps.tolist() == [0, 0]
    assert spec.workload.listed.line.tolist() == [1, 2]


def test_a_rate_of_zero_is_a_rate() -> None:
    workload = pb.Workload(generated=pb.GeneratedRequests(requests=3), rate=0.0)
    assert spec_from_proto(pb.JobSpec(workload=workload)).workload.rate == 0.0


def test_requests_that_nobody_counted_are_a_thousand() -> None:
    message = spec_to_proto(JobSpec(WorkloadSpec("openr1")))
    assert message.workload.generated.requests == 1000


def listed(**fields: Any) -> Callable[[], object]:
    return lambda: spec_from_proto(pb.JobSpec(workload=pb.Workload(listed=pb.ListedRequests(**fields))))


def sent(workload: dict[str, Any] | None = None, **fields: Any) -> Callable[[], object]:
    return lambda: spec_to_proto(JobSpec(WorkloadSpec("openr1", **(workload or {})), **fields))


GENERATED = pb.Workload(generated=pb.GeneratedRequests(requests=1))
ONE = np.ones(1, dtype=np.int64)


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: spec_from_proto(pb.JobSpec()), "workload: is missing; name one, or list its requests"),
        (
            lambda: spec_from_proto(pb.JobSpec(workload=pb.Workload(name="openr1"))),
            "workload.source: is missing; give generated or listed requests",
        ),
        (
            lambda: spec_from_proto(pb.JobSpec(workload=GENERATED, settings=[pb.Setting(value="1")])),
            "settings[0].key: is empty; give slot.key",
        ),
        (
            lambda: spec_from_proto(pb.JobSpec(workload=GENERATED, model_shape=ModelShape(layers=3))),
            "model: heads must be 1 to 10,000,000, got 0",
        ),
        (
            listed(prompt_tokens=[1], output_tokens=[]),
            "workload.listed.output_tokens: must be as long as prompt_tokens (1), got 0",
        ),
        (
            listed(prompt_tokens=[1], output_tokens=[1], arrival_ps=[1, 2]),
            "workload.listed.arrival_ps: must be as long as prompt_tokens (1), got 2",
        ),
        (
            listed(prompt_tokens=[1], output_tokens=[1], line=[1, 2]),
            "workload.listed.line: must be as long as prompt_tokens (1), got 2",
        ),
        (
            listed(prompt_tokens=[2**63], output_tokens=[1]),
            "workload.listed.prompt_tokens: must be below 2^63",
        ),
        (sent(seed=-1), "seed: must be 0 to 18446744073709551615, got -1"),
        (sent(dp=2**32), "dp: must be 0 to 4294967295, got 4294967296"),
        (sent({"count": -3}), "workload.requests: must be 0 to 4294967295, got -3"),
        (sent({"concurrency": -3}), "workload.concurrency: must be 0 to 4294967295, got -3"),
        (sent({"speed": 0.0}), "workload.speed: must be above 0, got 0.0"),
        (sent({"speed": float("nan")}), "workload.speed: must be above 0, got nan"),
        (
            sent({"rate": 1.0, "concurrency": 1}),
            "workload.rate: rate (open loop) excludes concurrency (closed loop)",
        ),
        (
            sent({"listed": Requests(ONE, -ONE, ONE, 7 * ONE)}),
            "workload.listed.output_tokens[0]: line 7: must be at least 0, got -1",
        ),
    ],
)
def test_what_is_no_job_is_refused_by_field(act: Callable[[], object], text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        act()
    assert str(caught.value) == text

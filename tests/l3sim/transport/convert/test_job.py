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
from l3sim.specs.option import PLAIN, declared
from l3sim.specs.requests import MAX_REQUESTS, Prefixes, Requests
from l3sim.specs.workload import WorkloadSpec
from l3sim.testing.builders import small_model
from l3sim.transport.convert.job import spec_from_proto, spec_to_proto
from l3sim.units import Int64s
from l3sim.v1 import job_pb2 as pb
from l3sim.v1.device_pb2 import ModelShape
from tests.l3sim.transport.equal import same

TEXT = st.text(max_size=8)
U32 = st.integers(0, 2**32 - 1)
FACTORS = st.floats(1e-9, 1e9)
U63 = st.integers(0, 2**63 - 1)


def within(spec: type, field: str) -> st.SearchStrategy[Any]:
    """Values of an option within its bounds, or none."""
    one = declared(spec)[field]
    floats: st.SearchStrategy[Any] = st.floats(0, one.option.most, exclude_min=True)
    whole = one.kind is int
    return (st.integers(one.option.least, int(one.option.most)) if whole else floats) | st.just(one.default)


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
        count=None if listed else draw(st.integers(1, MAX_REQUESTS)),
        listed=replace(Requests(prompt, output, arrival, line, prefixes), **extras(prompt, line, draw))
        if listed
        else None,
        rate=draw(st.floats(0, 1e9, exclude_min=True)) if arrivals == "rate" else None,
        concurrency=draw(st.integers(1, 100)) if arrivals == "concurrency" else None,
        speed=draw(within(WorkloadSpec, "speed")),
        cv=draw(within(WorkloadSpec, "cv")) if arrivals == "rate" else None,
        think_s=draw(st.floats(0, 0.01)) if arrivals == "concurrency" else 0.0,
        priorities=tuple(draw(st.dictionaries(st.integers(0, 9), FACTORS, max_size=3)).items()),
        max_output_tokens=draw(within(WorkloadSpec, "max_output_tokens")),
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
    seed=within(JobSpec, "seed"),
    tp=within(JobSpec, "tp"),
    dp=within(JobSpec, "dp"),
    max_window=within(JobSpec, "max_window"),
    settings=st.lists(st.tuples(st.text(min_size=1, max_size=8), TEXT), max_size=3).map(tuple),
    spans_rounds=within(JobSpec, "spans_rounds"),
    slo=st.lists(st.tuples(TEXT, FACTORS), max_size=3).map(tuple),
    oracle_lengths=st.booleans(),
    regret_plans=within(JobSpec, "regret_plans"),
)


@given(SPECS)
def test_specs_survive(spec: JobSpec) -> None:
    back = spec_from_proto(pb.JobSpec.FromString(spec_to_proto(spec).SerializeToString()))
    assert same(back, spec)


@pytest.mark.parametrize(("spec", "message"), [(JobSpec, pb.JobSpec), (WorkloadSpec, pb.Workload)])
def test_every_plain_option_has_a_field_of_its_name(spec: type, message: Any) -> None:
    plain = {name for name, one in declared(spec).items() if one.kind in PLAIN}
    # The model has two fields, and how many there are stands with their source.
    assert plain - {"count"} <= set(message.DESCRIPTOR.fields_by_name)


def test_what_is_left_out_has_its_default() -> None:
    listed = pb.ListedRequests(prompt_tokens=[5, 6], output_tokens=[7, 8])
    spec = spec_from_proto(pb.JobSpec(workload=pb.Workload(listed=listed)))
    assert spec.policy == "auto"
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
        (sent(dp=2**32), "dp: must be 1 to 1024, got 4294967296"),
        (sent({"count": -3}), "workload.requests: must be 1 to 10000000, got -3"),
        (sent({"concurrency": -3}), "workload.concurrency: must be 1 to 10000000, got -3"),
        (sent({"speed": 0.0}), "workload.speed: must be above 0 and at most 1e+09 times real time, got 0.0"),
        (
            sent({"speed": float("nan")}),
            "workload.speed: must be above 0 and at most 1e+09 times real time, got nan",
        ),
        (
            sent({"rate": 1.0, "concurrency": 1}),
            "workload: --rate (open loop) excludes --concurrency (closed loop); keep one",
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

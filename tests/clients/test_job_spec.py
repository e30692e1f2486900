"""Options by keyword: what the command line and Python share."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from l3sim.clients.job_spec import OPTIONS, job_spec
from l3sim.errors import InvalidInput
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec, requests_of
from l3sim.testing.builders import small_model
from tests.orchestrator.small_jobs import listed


def test_keywords_are_flags_without_dashes() -> None:
    assert all(one.option.flag == f"--{keyword.replace('_', '-')}" for keyword, one in OPTIONS.items())
    assert {"model", "policy", "requests", "max_output", "spans", "regret", "think"} <= OPTIONS.keys()


def test_values_of_python() -> None:
    spec = job_spec(
        "openr1",
        model=small_model(),
        rate=2,
        requests=np.int64(7),
        slo={"ttft_s": 2.0},
        priorities=((0, 0.5), (9, 0.5)),
        seed=None,
    )
    served = WorkloadSpec("openr1", 7, rate=2.0, priorities=((0, 0.5), (9, 0.5)))
    assert spec == JobSpec(served, model=small_model(), slo=(("ttft_s", 2.0),))
    assert isinstance(spec.workload.rate, float)


def test_a_specification_is_taken_and_changed() -> None:
    asked = WorkloadSpec("fixed:1:2", 5)
    assert job_spec(asked, "l3-mini").workload is not None
    assert job_spec(asked, requests=9, concurrency=3).workload == WorkloadSpec("fixed:1:2", 9, concurrency=3)


def test_numbers_of_numpy_are_numbers_in_pairs_too() -> None:
    spec = job_spec("openr1", priorities={np.int64(0): np.float64(0.5), 9: 1}, slo={"ttft_s": 2})
    assert spec.workload.priorities == ((0, 0.5), (9, 1.0))
    assert isinstance(spec.slo[0][1], float)


def test_of_listed_requests_a_count_takes_the_first() -> None:
    whole = listed([30, 20, 10], [9, 12, 4], [0, 5, 7])
    assert whole.listed is not None
    served = job_spec(replace(whole, listed=replace(whole.listed, priority=whole.listed.line)), requests=2)
    cut = served.workload.listed
    assert cut is not None
    assert cut.priority is not None
    assert (cut.prompt.tolist(), cut.arrival_ps.tolist(), cut.priority.tolist()) == ([30, 20], [0, 5], [1, 2])
    assert len(requests_of(served.workload, 0)) == 2
    with pytest.raises(InvalidInput, match=r"^--requests: .* has 3 requests, fewer than 4$"):
        job_spec(whole, requests=4)
    with pytest.raises(InvalidInput, match=r"^--requests: must be 1 to 10000000, got 0$"):
        job_spec(whole, requests=0)


def test_a_workload_is_a_name_or_a_specification() -> None:
    with pytest.raises(
        InvalidInput, match=r"^workload: must be a name, a trace file or a WorkloadSpec, got 5"
    ):
        job_spec(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"polciy": "l3"},
            "polciy: unknown option 'polciy'; did you mean 'policy'? (there are: concurrency, ",
        ),
        ({"requests": "20"}, "--requests: Expected `int`, got `str`, got '20'"),
        ({"requests": 0}, "--requests: must be 1 to 10000000, got 0"),
        ({"oracle_lengths": 1}, "--oracle-lengths: Expected `bool`, got `int`, got 1"),
        ({"rate": -1}, "--rate: must be above 0 and at most 1e+09 requests a second, got -1.0"),
        ({"think": 1.0}, "--think: needs --concurrency: only the clients of a closed loop think"),
        ({"rate": 1, "concurrency": 2}, "workload: --rate (open loop) excludes --concurrency"),
        ({"spans": 10_001}, "--spans: must be 1 to 10000, got 10001"),
        ({"model": "./absent.yaml"}, "model: no file './absent.yaml'"),
        ({"slo": "ttft_s"}, "--slo: must be a list like"),
        ({"slo": 5}, "--slo: Expected `array`, got `int`, got 5"),
        ({"slo": {"ttft_s": "x"}}, "--slo: Expected `float`, got `str` - at `$[0][1]`, got {'ttft_s': 'x'}"),
        ({"priorities": {0: "a"}}, "--priorities: Expected `float`, got `str` - at `$[0][1]`, got {0: 'a'}"),
        ({"model": 5}, "--model: must be a name, a file or a ModelShape, got 5"),
        ({"priorities": {12: 1.0}}, "--priorities: a priority must be 0 to 9, got 12"),
    ],
)
def test_refused_by_flag(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        job_spec("openr1", **options)
    assert str(refused.value).startswith(text)

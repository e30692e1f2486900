"""Workloads: moments, determinism, exact times, refusals."""

import math
from dataclasses import replace
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.specs.arrivals import LAST_PS, arrivals_ps, scaled_ps
from l3sim.specs.job import JobSpec, check_job
from l3sim.specs.lengths import MAX_DRAWN_TOKENS, PUBLISHED
from l3sim.specs.requests import Prefixes, Requests
from l3sim.specs.workload import WorkloadSpec, draw, requests_of, workload_names
from l3sim.units import PS_PER_S
from tests.orchestrator.small_jobs import listed, numbers

#: As published: mean and standard deviation of prompt and output.
TABLE = {
    "openr1": (96.0, 75.1, 12684.1, 8464.6, 1),
    "dolphin": (201.9, 563.0, 3926.2, 4216.0, 1),
    "openthoughts": (89.4, 66.7, 6366.7, 4662.9, 1),
    "dolphin-short": (201.9, 563.0, 3926.2, 4216.0, 10),
}


def expected(mean: float, std: float, divisor: int, most: float) -> tuple[float, float]:
    """Moments of a log-normal length, divided, rounded, at least 1 and clipped: by its quantiles."""
    sigma = math.sqrt(math.log(1 + (std / mean) ** 2))
    normal = NormalDist(math.log(mean) - sigma**2 / 2, sigma)
    count = 100_000
    values = [math.exp(normal.inv_cdf((i + 0.5) / count)) / divisor for i in range(count)]
    lengths = np.clip(np.floor(np.array(values) + 0.5), 1, most)
    return float(lengths.mean()), float(lengths.std())


@pytest.mark.parametrize("name", sorted(TABLE))
def test_published_moments(name: str) -> None:
    """60,000 draws. Means to 2 %, deviations to 10 %: the fourth moment of Dolphin-r1 prompts is large.

    Clipping matters for OpenR1: 3 % of its log-normal outputs are beyond 32,768 tokens.
    """
    assert name in workload_names()
    prompt_mean, prompt_std, output_mean, output_std, divisor = TABLE[name]
    drawn = draw(name, 60_000, seed=1)
    prompt = expected(prompt_mean, prompt_std, divisor, MAX_DRAWN_TOKENS - 1)
    output = expected(output_mean, output_std, divisor, MAX_DRAWN_TOKENS - prompt[0])
    for tokens, (mean, std) in ((drawn.prompt, prompt), (drawn.output, output)):
        assert tokens.mean() == pytest.approx(mean, rel=0.02)
        assert tokens.std() == pytest.approx(std, rel=0.1)
        assert tokens.min() >= 1
    assert (drawn.prompt + drawn.output).max() <= MAX_DRAWN_TOKENS
    clipped = (drawn.prompt + drawn.output == MAX_DRAWN_TOKENS).mean()
    assert clipped == pytest.approx({"openr1": 0.033}.get(name, 0.0), abs=0.005)
    assert drawn.line.tolist() == list(range(1, 60_001))
    assert not drawn.arrival_ps.any()


def test_unclipped_moments_are_the_published_ones() -> None:
    assert expected(89.4, 66.7, 1, math.inf) == pytest.approx((89.4, 66.7), rel=2e-3)
    assert PUBLISHED.keys() == TABLE.keys()


def test_draws_are_the_same_on_any_computer() -> None:
    drawn = draw("openr1", 5, seed=0)
    assert drawn.prompt.tolist() == [82, 69, 118, 81, 52]
    assert drawn.output.tolist() == [13140, 23280, 18746, 6883, 4895]
    assert draw("dolphin-short", 5, seed=0).output.tolist() == [367, 838, 613, 144, 88]
    assert arrivals_ps(4, 2.0, seed=0).tolist() == [0, 191000856216, 373088858333, 637826042842]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_seeds_tell_draws_apart(name: str) -> None:
    one, same, other = draw(name, 50, 7), draw(name, 50, 7), draw(name, 50, 8)
    assert (one.prompt == same.prompt).all()
    assert (one.output == same.output).all()
    assert (one.output != other.output).any()


def test_arrivals_and_lengths_are_separate_streams() -> None:
    offline = requests_of(WorkloadSpec("openr1", count=20), seed=3)
    opened = requests_of(WorkloadSpec("openr1", count=20, rate=5.0), seed=3)
    assert (offline.prompt == opened.prompt).all()
    assert (offline.output == opened.output).all()
    assert (arrivals_ps(20, 5.0, 3) != arrivals_ps(20, 5.0, 4)).any()


@pytest.mark.parametrize("rate", [0.5, 3.0, 1000.0])
def test_poisson_gaps(rate: float) -> None:
    arrival = arrivals_ps(40_000, rate, seed=2)
    gaps = np.diff(arrival) / PS_PER_S
    assert arrival[0] == 0
    assert (gaps >= 0).all()
    # Exponential: mean and deviation are 1 / rate; 40,000 of them stray by half a percent.
    assert gaps.mean() == pytest.approx(1 / rate, rel=0.02)
    assert gaps.std() == pytest.approx(1 / rate, rel=0.02)
    assert (gaps < math.log(2) / rate).mean() == pytest.approx(0.5, abs=0.01)


SPEEDS = st.one_of(st.sampled_from([0.1, 0.3, 3.0, 7.5, 1e-3, 1e3]), st.floats(0.01, 100))


@settings(max_examples=150, derandomize=True)
@given(st.lists(st.integers(0, 3 * 10**16), min_size=1, max_size=5), SPEEDS)
def test_scaled_times_are_exact(times: list[int], speed: float) -> None:
    times.sort()
    # The decimal that a person wrote, not its nearest float.
    exact = [Fraction(time) / Fraction(str(speed)) for time in times]
    expected = [math.floor(time + Fraction(1, 2)) for time in exact]
    if expected[-1] > LAST_PS:
        with pytest.raises(InvalidInput):
            scaled_ps(numbers(times), speed)
    else:
        assert scaled_ps(numbers(times), speed).tolist() == expected


def test_half_a_picosecond_goes_up() -> None:
    assert scaled_ps(numbers([1, 3, 5, 7]), 2.0).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("time_ps", "speed", "text"),
    [
        (PS_PER_S, 1e-12, "workload.speed: 1e-12 stretches the trace beyond 2305843 s"),
        (LAST_PS, 0.999, "workload.speed: 0.999 stretches the trace beyond 2305843 s"),
        (LAST_PS + 1, 1.0, "workload.listed.arrival_ps: a request comes after 2305843 s"),
    ],
)
def test_times_that_leave_the_clock_are_refused(time_ps: int, speed: float, text: str) -> None:
    spec = replace(listed([1, 1], [1, 1], [0, time_ps]), speed=speed)
    with pytest.raises(InvalidInput) as refused:
        requests_of(spec, 0)
    assert str(refused.value) == text


def test_listed_requests_pass_as_they_are_but_for_their_times() -> None:
    spec = replace(listed([3, 4], [5, 6], [0, 9]), speed=2.0)
    requests = requests_of(spec, seed=0)
    assert requests.prompt.tolist() == [3, 4]
    assert requests.arrival_ps.tolist() == [0, 5]
    assert requests_of(replace(spec, speed=1.0, concurrency=1), 0).arrival_ps.tolist() == [0, 0]
    assert requests_of(replace(spec, speed=1.0, rate=1.0), 0).arrival_ps[1] != 9


LISTED = listed([5, 5, 5], [2, 2, 2], [0, 4, 9])


def with_list(**changes: list[int]) -> WorkloadSpec:
    """Three listed requests with some column changed."""
    assert LISTED.listed is not None
    columns: dict[str, Any] = {key: numbers(some) for key, some in changes.items()}
    return replace(LISTED, listed=replace(LISTED.listed, **columns))


NAMES = (
    "(there are: NAME:max=TOKENS, dolphin, dolphin-short, fixed:A..B:C..D, fixed:IN:OUT, openr1, "
    "openthoughts)"
)
FORM = (
    "must be fixed:IN:OUT with whole numbers of tokens from 1 to 100000000, or ranges of them like 64..4096"
)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            replace(LISTED, count=1),
            "workload.requests: 1 contradicts the 3 that are listed; leave it out, or list fewer",
        ),
        (
            WorkloadSpec("openr2", count=1),
            f"workload: unknown workload 'openr2'; did you mean 'openr1'? {NAMES}",
        ),
        (WorkloadSpec("fixed:0:5", count=1), f"workload: 'fixed:0:5' {FORM}"),
        (WorkloadSpec("fixed:5", count=1), f"workload: 'fixed:5' {FORM}"),
        (WorkloadSpec("fixed:5:-1", count=1), f"workload: 'fixed:5:-1' {FORM}"),
        (WorkloadSpec("fixed:5:1e3", count=1), f"workload: 'fixed:5:1e3' {FORM}"),
        (WorkloadSpec("fixed:5:\u0663", count=1), f"workload: 'fixed:5:\u0663' {FORM}"),
        (WorkloadSpec("fixed:5:100000001", count=1), f"workload: 'fixed:5:100000001' {FORM}"),
        (WorkloadSpec("openr1", count=0), "workload.requests: must be 1 to 10000000, got 0"),
        (WorkloadSpec("openr1", count=-4), "workload.requests: must be 1 to 10000000, got -4"),
        (
            WorkloadSpec("openr1", count=1, rate=1.0, concurrency=1),
            "workload: --rate (open loop) excludes --concurrency (closed loop); keep one",
        ),
        (
            WorkloadSpec("openr1", count=1, rate=0.0),
            "workload.rate: must be above 0 and at most 1e+09 requests a second, got 0.0",
        ),
        (
            WorkloadSpec("openr1", count=1, rate=math.inf),
            "workload.rate: must be above 0 and at most 1e+09 requests a second, got inf",
        ),
        (
            WorkloadSpec("openr1", count=9, rate=1e-9),
            "workload.rate: 1e-09 requests a second spread 9 requests too far",
        ),
        (
            WorkloadSpec("openr1", count=1, speed=0.0),
            "workload.speed: must be above 0 and at most 1e+09 times real time, got 0.0",
        ),
        (
            WorkloadSpec("openr1", count=1, speed=math.nan),
            "workload.speed: must be above 0 and at most 1e+09 times real time, got nan",
        ),
        (
            WorkloadSpec("openr1", count=1, concurrency=0),
            "workload.concurrency: must be 1 to 10000000, got 0",
        ),
        (with_list(prompt=[], output=[], arrival_ps=[], line=[]), "workload: has no requests"),
        (
            with_list(prompt=[5, 0, 5], line=[2, 3, 5]),
            "workload.listed.prompt_tokens[1]: line 3: must be 1 to 100000000, got 0",
        ),
        (
            with_list(output=[5, 5, 10**8 + 1]),
            "workload.listed.output_tokens[2]: line 3: must be 1 to 100000000, got 100000001",
        ),
        (
            with_list(arrival_ps=[0, 4, 3]),
            "workload.listed.arrival_ps[2]: line 3: time is before the request above it",
        ),
        (
            with_list(arrival_ps=[-1, 4, 5]),
            "workload.listed.arrival_ps[0]: line 1: time is before the request above it",
        ),
        (
            with_list(output=[5, 5]),
            "workload.listed: prompt_tokens, output_tokens, arrival_ps differ in length",
        ),
    ],
)
def test_refused(spec: WorkloadSpec, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        requests_of(spec, seed=0)
    assert str(refused.value) == text


def with_prefixes(number: list[int], tokens: list[int]) -> WorkloadSpec:
    """Three listed requests of 5 tokens with these prefixes."""
    assert LISTED.listed is not None
    prefixes = Prefixes(numbers(number), numbers(tokens))
    return replace(LISTED, listed=replace(LISTED.listed, prefixes=prefixes))


def test_prefixes_go_with_their_requests() -> None:
    spec = with_prefixes([1, 0, 1], [5, 0, 1])
    for changes in (
        {},
        {"rate": 1.0},
        {"concurrency": 2},
        {"speed": 2.0},
        {"max_output_tokens": 1},
        {"priorities": ((1, 1.0),)},
    ):
        found = requests_of(replace(spec, **changes), seed=0).prefixes
        assert found is not None
        assert (found.number.tolist(), found.tokens.tolist()) == ([1, 0, 1], [5, 0, 1])
    assert requests_of(LISTED, seed=0).prefixes is None


@pytest.mark.parametrize(
    ("number", "tokens", "text"),
    [
        ([1, 0, 2], [5, 0, 6], "prefix_tokens[2]: line 3: must be 1 to 5 with prefix 2, got 6"),
        ([1, 0, 2], [0, 0, 5], "prefix_tokens[0]: line 1: must be 1 to 5 with prefix 1, got 0"),
        ([1, 0, 2], [5, 3, 5], "prefix_tokens[1]: line 2: must be 0 to 0 with prefix 0, got 3"),
        ([1, -1, 2], [5, 0, 5], "prefix_tokens[1]: line 2: must be 0 to 0 with prefix -1, got 0"),
    ],
)
def test_prefixes_that_say_too_much_are_refused(number: list[int], tokens: list[int], text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        requests_of(with_prefixes(number, tokens), seed=0)
    assert str(refused.value) == f"workload.listed.{text}"


def test_prefixes_of_other_lengths_are_refused() -> None:
    with pytest.raises(InvalidInput, match="prefix, prefix_tokens, prompt_tokens differ in length"):
        requests_of(with_prefixes([1, 1], [1, 1]), seed=0)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_outside_64_bits_are_refused(seed: int) -> None:
    with pytest.raises(InvalidInput, match=r"seed: must be 0 to 18446744073709551615, got"):
        check_job(JobSpec(WorkloadSpec("openr1"), seed=seed))


def test_a_thousand_by_default() -> None:
    assert len(requests_of(WorkloadSpec("fixed:1:1"), 0)) == 1000
    assert isinstance(requests_of(WorkloadSpec("fixed:1:1"), 0), Requests)

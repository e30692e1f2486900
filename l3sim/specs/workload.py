"""Workloads: the requests of a job, drawn from published moments, of fixed size, or listed by a trace.

The data sets behind the published traces cannot be shipped, so lengths are drawn from log-normal
distributions with their moments (mean and standard deviation), by PCG64(seed).
The report shows the moments that were drawn.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.registry import unknown
from l3sim.units import PS_PER_S, Int64s

#: prompt + output of a drawn request never exceed this.
MAX_DRAWN_TOKENS = 32_768
#: One request may not claim more than this; a machine refuses far earlier.
MAX_TOKENS = 100_000_000
MAX_REQUESTS = 10_000_000
#: Requests that are drawn when nobody says how many.
DEFAULT_REQUESTS = 1000
#: Nobody may arrive later than this: a quarter of what int64 holds, so that sums of times fit as well.
LAST_PS = 2**61


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of the lengths of a published trace, in tokens."""

    prompt_mean: float
    prompt_std: float
    output_mean: float
    output_std: float
    divisor: int = 1


#: arXiv 2504.17584, table of workloads.
PUBLISHED = {
    "openr1": Moments(96.0, 75.1, 12684.1, 8464.6),  # OpenR1-Math-220k
    "dolphin": Moments(201.9, 563.0, 3926.2, 4216.0),  # Dolphin-r1
    "openthoughts": Moments(89.4, 66.7, 6366.7, 4662.9),  # OpenThoughts-114k-math
    "dolphin-short": Moments(201.9, 563.0, 3926.2, 4216.0, divisor=10),
}


@dataclass(frozen=True)
class Prefixes:
    """What prompts have in common: a request's first tokens are those of a numbered text.

    Attributes:
        number: of the text, 0 for none; int64, shape (n,).
        tokens: how many of the prompt's tokens are its first ones, 0 for none; int64, shape (n,).
    """

    number: Int64s
    tokens: Int64s


@dataclass(frozen=True)
class Requests:
    """Requests in order of arrival.

    Attributes:
        prompt, output: tokens, int64, shape (n,).
        arrival_ps: since the job's start, int64, shape (n,).
        line: line of the trace that each came from, or its number from 1, shape (n,).
        prefixes: what their prompts have in common; None: nothing is known of it.
    """

    prompt: Int64s
    output: Int64s
    arrival_ps: Int64s
    line: Int64s
    prefixes: Prefixes | None = None

    def __len__(self) -> int:
        return len(self.prompt)


@dataclass(frozen=True)
class WorkloadSpec:
    """What to serve and how it arrives.

    Attributes:
        count: requests to draw; None when they are listed.
        listed: requests of a trace, arrivals before `speed`.
        rate: Poisson arrivals a second (open loop), or None.
        concurrency: clients that wait for their answer (closed loop), or None.
        speed: trace time is divided by this.
    """

    name: str
    count: int | None = None
    listed: Requests | None = None
    rate: float | None = None
    concurrency: int | None = None
    speed: float = 1.0


def workload_names() -> list[str]:
    """Names that can be drawn; `fixed:IN:OUT` comes beside them."""
    return sorted(PUBLISHED)


def requests_of(spec: WorkloadSpec, seed: int) -> Requests:
    """Draw or take the requests of a workload, arrivals included (all 0 in closed loop).

    Raises:
        InvalidInput: an unknown name, or a size, rate or time that is refused.
    """
    if spec.rate is not None and spec.concurrency is not None:
        raise InvalidInput(("workload.rate", "rate (open loop) excludes concurrency (closed loop)"))
    if not (math.isfinite(spec.speed) and spec.speed > 0):
        raise InvalidInput(("workload.speed", f"must be above 0, got {spec.speed}"))
    if spec.concurrency is not None and spec.concurrency < 1:
        raise InvalidInput(("workload.concurrency", f"must be at least 1, got {spec.concurrency}"))
    if spec.listed is not None:
        requests = _checked(spec.listed)
    else:
        requests = draw(spec.name, DEFAULT_REQUESTS if spec.count is None else spec.count, seed)
    if spec.rate is not None:
        arrival = poisson_ps(len(requests), spec.rate, seed)
    elif spec.concurrency is not None:
        arrival = np.zeros(len(requests), dtype=np.int64)
    else:
        arrival = scaled_ps(requests.arrival_ps, spec.speed)
    return replace(requests, arrival_ps=arrival)


def draw(name: str, count: int, seed: int) -> Requests:
    """Draw `count` requests of a named workload, all at time 0.

    Raises:
        InvalidInput: no such workload, or a count or size that is refused.
    """
    if not 1 <= count <= MAX_REQUESTS:
        raise InvalidInput(("workload.requests", f"must be 1 to {MAX_REQUESTS}, got {count}"))
    if not 0 <= seed < 2**64:
        raise InvalidInput(("seed", f"must be 0 to 2^64 - 1, got {seed}"))
    if name.startswith("fixed:"):
        prompt_tokens, output_tokens = _fixed(name)
        prompt = np.full(count, prompt_tokens, dtype=np.int64)
        output = np.full(count, output_tokens, dtype=np.int64)
    elif name in PUBLISHED:
        prompt, output = _log_normal(PUBLISHED[name], count, seed)
    else:
        names = [*workload_names(), "fixed:IN:OUT"]
        raise InvalidInput(("workload", unknown("workload", name, names)))
    lines = np.arange(1, count + 1, dtype=np.int64)
    return Requests(prompt, output, np.zeros(count, dtype=np.int64), lines)


def poisson_ps(count: int, rate: float, seed: int) -> Int64s:
    """Arrival times of a Poisson process, the first at time 0.

    Raises:
        InvalidInput: the rate is not positive, or so small that times leave the clock.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise InvalidInput(("workload.rate", f"must be above 0 requests a second, got {rate}"))
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(1,))))
    gaps_s = stream.standard_exponential(count) / rate
    if count * float(gaps_s.max()) > 10**6:
        raise InvalidInput(("workload.rate", f"{rate} requests a second spread {count} requests too far"))
    gaps = np.floor(gaps_s * PS_PER_S + 0.5).astype(np.int64)
    gaps[0] = 0
    return np.cumsum(gaps)


def scaled_ps(arrival_ps: Int64s, speed: float) -> Int64s:
    """Trace times divided by `speed`, rounded half up to picoseconds, exactly.

    Raises:
        InvalidInput: the last one leaves the clock.
    """
    if speed == 1.0:
        return arrival_ps
    factor = Fraction(repr(speed))
    top, bottom = factor.numerator, factor.denominator
    scaled = [(2 * int(time) * bottom + top) // (2 * top) for time in arrival_ps]
    if scaled and scaled[-1] > LAST_PS:
        raise InvalidInput(("workload.speed", f"{speed} stretches the trace beyond {LAST_PS // PS_PER_S} s"))
    return np.array(scaled, dtype=np.int64)


def _fixed(name: str) -> tuple[int, int]:
    parts = name.split(":")
    form = f"{name!r} must be fixed:IN:OUT with whole numbers of tokens from 1 to {MAX_TOKENS}"
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts[1:]):
        raise InvalidInput(("workload", form))
    prompt, output = int(parts[1]), int(parts[2])
    if not (1 <= prompt <= MAX_TOKENS and 1 <= output <= MAX_TOKENS):
        raise InvalidInput(("workload", form))
    return prompt, output


def _log_normal(moments: Moments, count: int, seed: int) -> tuple[Int64s, Int64s]:
    stream = np.random.Generator(np.random.PCG64(seed))
    normals = stream.standard_normal((2, count))
    lengths = []
    for row, mean, std in (
        (normals[0], moments.prompt_mean, moments.prompt_std),
        (normals[1], moments.output_mean, moments.output_std),
    ):
        # Moments of a log-normal: mean = exp(mu + s^2/2), var/mean^2 = exp(s^2) - 1.
        variance = math.log1p((std / mean) ** 2)
        mu = math.log(mean) - variance / 2
        # math.exp rather than numpy's, whose vector forms differ between processors.
        drawn = [math.exp(mu + math.sqrt(variance) * float(normal)) for normal in row]
        lengths.append([max(1, math.floor(value / moments.divisor + 0.5)) for value in drawn])
    prompt = np.minimum(np.array(lengths[0], dtype=np.int64), MAX_DRAWN_TOKENS - 1)
    output = np.minimum(np.array(lengths[1], dtype=np.int64), MAX_DRAWN_TOKENS - prompt)
    return prompt, output


def _checked(listed: Requests) -> Requests:
    """Check listed requests, naming the line of the first that is refused."""
    if len(listed) == 0:
        raise InvalidInput(("workload", "has no requests"))
    if len(listed) > MAX_REQUESTS:
        raise InvalidInput(("workload", f"has {len(listed)} requests; at most {MAX_REQUESTS} go in one job"))
    lengths = {len(listed.prompt), len(listed.output), len(listed.arrival_ps), len(listed.line)}
    if len(lengths) > 1:
        raise InvalidInput(("workload.listed", "prompt_tokens, output_tokens, arrival_ps differ in length"))
    for what, tokens in (("prompt_tokens", listed.prompt), ("output_tokens", listed.output)):
        bad = np.flatnonzero((tokens < 1) | (tokens > MAX_TOKENS))
        if len(bad):
            line, got = listed.line[bad[0]], tokens[bad[0]]
            field = f"workload.listed.{what}[{bad[0]}]"
            raise InvalidInput((field, f"line {line}: must be 1 to {MAX_TOKENS}, got {got}"))
    if int(listed.arrival_ps.max()) > LAST_PS:
        raise InvalidInput(("workload.listed.arrival_ps", f"a request comes after {LAST_PS // PS_PER_S} s"))
    if listed.prefixes is not None:
        _check_prefixes(listed, listed.prefixes)
    late = np.flatnonzero(np.diff(listed.arrival_ps, prepend=0) < 0)
    if len(late):
        field = f"workload.listed.arrival_ps[{late[0]}]"
        raise InvalidInput((field, f"line {listed.line[late[0]]}: time is before the request above it"))
    return listed


def _check_prefixes(listed: Requests, prefixes: Prefixes) -> None:
    if not len(prefixes.number) == len(prefixes.tokens) == len(listed):
        raise InvalidInput(("workload.listed", "prefix, prefix_tokens, prompt_tokens differ in length"))
    named = prefixes.number > 0
    least, most = np.where(named, 1, 0), np.where(named, listed.prompt, 0)
    bad = np.flatnonzero((prefixes.tokens < least) | (prefixes.tokens > most) | (prefixes.number < 0))
    if len(bad):
        one = bad[0]
        text = f"must be {least[one]} to {most[one]} with prefix {prefixes.number[one]}"
        text = f"line {listed.line[one]}: {text}, got {prefixes.tokens[one]}"
        raise InvalidInput((f"workload.listed.prefix_tokens[{one}]", text))

"""Workloads: the requests of a job, drawn from published moments, of fixed size, or listed by a trace.

Lengths and times are drawn from streams of their own (`lengths`, `arrivals`). The report shows the moments
that were drawn.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.registry import unknown
from l3sim.specs.arrivals import LAST_PS, arrivals_ps, check_priorities, draw_priorities, scaled_ps
from l3sim.specs.lengths import BOUND, MAX_TOKENS, PUBLISHED, bound_of, fixed, log_normal
from l3sim.specs.option import Option, check_bounds
from l3sim.units import PS_PER_S, Int64s

MAX_REQUESTS = 10_000_000
#: Requests that are drawn when nobody says how many.
DEFAULT_REQUESTS = 1000
#: Levels of priority: 0, the usual one, to this, the most urgent one.
MAX_PRIORITY = 9
#: Of a gamma process; beyond, nearly all requests come at once.
MAX_CV = 100.0
MAX_THINK_S = 10**5
MAX_RATE = MAX_SPEED = 1e9
#: What can be drawn beside the plain names.
FORMS = ("NAME:max=TOKENS", "fixed:IN:OUT", "fixed:A..B:C..D")


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
        priority: 0 to MAX_PRIORITY, more is more urgent, shape (n,); None: all 0.
        limit: output tokens that each may make at most, shape (n,); None: nobody has a limit.
        cut: how many would have made more than their limit; `requests_of` counts them.
    """

    prompt: Int64s
    output: Int64s
    arrival_ps: Int64s
    line: Int64s
    prefixes: Prefixes | None = None
    priority: Int64s | None = None
    limit: Int64s | None = None
    cut: int = 0

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
        cv: coefficient of variation of the gaps between arrivals (gamma process), with rate; None: Poisson.
        think_s: time that a client waits between its answer and its next request. Needs concurrency.
        priorities: (level, share) to draw each request's priority from; () for those of the trace, or 0.
        max_output_tokens: that every request may make at most, beside its own limit; None: any number.
    """

    name: str
    count: Annotated[
        int | None,
        Option(
            "--requests",
            f"Default: {DEFAULT_REQUESTS}, or all of a trace.",
            "N",
            1,
            MAX_REQUESTS,
            named="requests",
        ),
    ] = None
    listed: Requests | None = None
    rate: Annotated[
        float | None,
        Option(
            "--rate",
            "Open loop: arrivals, Poisson but for --cv, requests a second.",
            "R",
            most=MAX_RATE,
            unit="requests a second",
        ),
    ] = None
    concurrency: Annotated[
        int | None,
        Option(
            "--concurrency", "Closed loop: clients that each wait for their answer.", "C", 1, MAX_REQUESTS
        ),
    ] = None
    speed: Annotated[
        float,
        Option(
            "--speed", "A trace's times are divided by this.", "F", most=MAX_SPEED, unit="times real time"
        ),
    ] = 1.0
    cv: Annotated[
        float | None,
        Option(
            "--cv",
            "With --rate: gamma arrivals, gaps with this coefficient of variation; default: Poisson.",
            "CV",
            most=MAX_CV,
            unit="standard deviations a mean",
        ),
    ] = None
    think_s: Annotated[
        float,
        Option(
            "--think",
            "With --concurrency: a client waits so long before its next request.",
            "S",
            most=MAX_THINK_S,
            unit="seconds",
        ),
    ] = 0.0
    priorities: Annotated[
        tuple[tuple[int, float], ...],
        Option("--priorities", "Draw priorities, 0 (usual) to 9 (urgent): 0:0.9,5:0.1.", "P:SHARE,..."),
    ] = ()
    max_output_tokens: Annotated[
        int | None,
        Option("--max-output", "Every request's output is cut to so many tokens.", "N", 1, MAX_TOKENS),
    ] = None


def workload_names() -> list[str]:
    """Names that can be drawn; `FORMS` come beside them."""
    return sorted(PUBLISHED)


def requests_of(spec: WorkloadSpec, seed: int) -> Requests:
    """Draw or take the requests of a workload, arrivals included (all 0 in closed loop).

    Raises:
        InvalidInput: an unknown name, or a size, rate or time that is refused.
    """
    check_workload(spec)
    requests = draw(spec.name, _count(spec), seed) if spec.listed is None else _checked(spec.listed)
    if spec.rate is not None:
        arrival = arrivals_ps(len(requests), spec.rate, seed, spec.cv)
    elif spec.concurrency is not None:
        arrival = np.zeros(len(requests), dtype=np.int64)
    else:
        arrival = scaled_ps(requests.arrival_ps, spec.speed)
    priority = requests.priority
    if spec.priorities:
        priority = draw_priorities(spec.priorities, len(requests), seed)
    limit = requests.limit
    if spec.max_output_tokens is not None:
        limit = np.minimum(
            MAX_TOKENS if limit is None else limit, np.full(len(requests), spec.max_output_tokens)
        )
    output = requests.output if limit is None else np.minimum(requests.output, limit)
    cut = int((output < requests.output).sum())
    return replace(requests, output=output, arrival_ps=arrival, priority=priority, limit=limit, cut=cut)


def check_workload(spec: WorkloadSpec) -> None:
    """Refuse options of a workload that are out of range or contradict each other.

    Raises:
        InvalidInput: by field.
    """
    check_bounds(spec, "workload.")
    if spec.rate is not None and spec.concurrency is not None:
        raise InvalidInput(("workload", "--rate (open loop) excludes --concurrency (closed loop); keep one"))
    if spec.cv is not None and spec.rate is None:
        raise InvalidInput(("workload.cv", "needs --rate: it says how bursty an open loop's arrivals are"))
    if spec.think_s and spec.concurrency is None:
        text = "needs --concurrency: only the clients of a closed loop think"
        raise InvalidInput(("workload.think_s", text))
    check_priorities(spec.priorities, MAX_PRIORITY)
    if spec.concurrency and spec.think_s * _count(spec) / spec.concurrency > 10**6:
        text = f"{spec.think_s} s between requests spread {_count(spec)} of them too far"
        raise InvalidInput(("workload.think_s", text))


def _count(spec: WorkloadSpec) -> int:
    if spec.listed is not None:
        return len(spec.listed)
    return DEFAULT_REQUESTS if spec.count is None else spec.count


def draw(name: str, count: int, seed: int) -> Requests:
    """Draw `count` requests of a named workload, all at time 0.

    Raises:
        InvalidInput: no such workload, or a size that is refused.
    """
    plain, colon, _ = name.partition(BOUND)
    if name.startswith("fixed:"):
        prompt, output = fixed(name, count, seed)
    elif plain in PUBLISHED:
        prompt, output = log_normal(PUBLISHED[plain], count, seed, bound_of(name) if colon else None)
    else:
        names = [*workload_names(), *FORMS]
        raise InvalidInput(("workload", unknown("workload", name, names)))
    lines = np.arange(1, count + 1, dtype=np.int64)
    return Requests(prompt, output, np.zeros(count, dtype=np.int64), lines)


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
    _check_listed_extras(listed)
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


def _check_listed_extras(listed: Requests) -> None:
    """Priorities and limits of a trace."""
    for what, values, least, most in (
        ("priority", listed.priority, 0, MAX_PRIORITY),
        ("max_output_tokens", listed.limit, 1, MAX_TOKENS),
    ):
        if values is None:
            continue
        if len(values) != len(listed):
            raise InvalidInput(
                (f"workload.listed.{what}", f"must be as long as prompt_tokens ({len(listed)})")
            )
        bad = np.flatnonzero((values < least) | (values > most))
        if len(bad):
            text = f"line {listed.line[bad[0]]}: must be {least} to {most}, got {values[bad[0]]}"
            raise InvalidInput((f"workload.listed.{what}[{bad[0]}]", text))

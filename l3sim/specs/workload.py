"""Workloads: the requests of a job, drawn from published moments, of fixed size, or listed by a trace.

Lengths and times are drawn from streams of their own (`lengths`, `arrivals`). The report shows the moments
that were drawn.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.registry import unknown
from l3sim.specs.arrivals import arrivals_ps, check_priorities, draw_priorities, scaled_ps
from l3sim.specs.lengths import BOUND, MAX_TOKENS, PUBLISHED, bound_of, fixed, log_normal
from l3sim.specs.option import Option, check_bounds
from l3sim.specs.requests import MAX_PRIORITY, MAX_REQUESTS, Requests, check_listed
from l3sim.units import PS_PER_S, Int64s

#: Requests that are drawn when no number is given.
DEFAULT_REQUESTS = 1000
#: Of a gamma process; beyond, nearly all requests come at once.
MAX_CV = 100.0
MAX_THINK_S = 10**5
MAX_RATE = MAX_SPEED = 1e9
#: What can be drawn beside the plain names.
FORMS = ("NAME:max=TOKENS", "fixed:IN:OUT", "fixed:A..B:C..D")


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
        warmup_s, cooldown_s: of an open loop, left out of the report's steady part at its ends.
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
            "Open loop: R requests arrive a second, Poisson unless --cv.",
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
            "With --concurrency: a client waits S before its next request.",
            "S",
            most=MAX_THINK_S,
            unit="seconds",
        ),
    ] = 0.0
    warmup_s: Annotated[
        float,
        Option(
            "--warmup",
            "Open loop: the steady part begins S after the first arrival.",
            "S",
            most=MAX_THINK_S,
            unit="seconds",
        ),
    ] = 0.0
    cooldown_s: Annotated[
        float,
        Option(
            "--cooldown",
            "Open loop: the steady part ends S before the last arrival.",
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
        Option("--max-output", "Cut every request's output to N tokens.", "N", 1, MAX_TOKENS),
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
    requests = draw(spec.name, _count(spec), seed) if spec.listed is None else check_listed(spec.listed)
    if spec.rate is not None:
        arrival = arrivals_ps(len(requests), spec.rate, seed, spec.cv)
    elif spec.concurrency is not None:
        arrival = np.zeros(len(requests), dtype=np.int64)
    else:
        arrival = scaled_ps(requests.arrival_ps, spec.speed)
    _check_steady(spec, arrival)
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


def _check_steady(spec: WorkloadSpec, arrival_ps: Int64s) -> None:
    """Refuse warm-up and cool-down that leave nothing, and those of what is no open loop."""
    left = spec.warmup_s + spec.cooldown_s
    if not left:
        return
    field = "workload.warmup_s" if spec.warmup_s else "workload.cooldown_s"
    lasts_s = int(arrival_ps[-1] - arrival_ps[0]) / PS_PER_S
    if spec.concurrency is not None or not lasts_s:
        raise InvalidInput(
            (field, "needs an open loop: --rate, or a trace whose requests come at their times")
        )
    if left >= lasts_s:
        raise InvalidInput((field, f"{left:g} s in all leave nothing of arrivals over {lasts_s:g} s"))


def check_workload(spec: WorkloadSpec) -> None:
    """Refuse options of a workload that are out of range or contradict each other.

    Raises:
        InvalidInput: by field.
    """
    check_bounds(spec, "workload.")
    if spec.listed is not None and spec.count is not None:
        text = f"{spec.count} contradicts the {len(spec.listed)} that are listed; leave it out, or list fewer"
        raise InvalidInput(("workload.requests", text))
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

"""From what people write on the command line to a workload: a name, `fixed:IN:OUT`, or a trace file."""

from pathlib import Path
from typing import Any

from l3sim.clients.times import MAX_SPAN_S
from l3sim.clients.traces import JSON_SUFFIXES, read_trace
from l3sim.errors import InvalidInput
from l3sim.specs.workload import DEFAULT_REQUESTS, WorkloadSpec, draw, workload_names
from l3sim.units import PS_PER_S

TRACE_SUFFIXES = {".csv", *JSON_SUFFIXES}


def workload_spec(
    argument: str,
    requests: int | None = None,
    rate: float | None = None,
    concurrency: int | None = None,
    speed: float = 1.0,
    **more: Any,
) -> WorkloadSpec:
    """Make a workload of a name or of a trace file, which is read here.

    A published name and `fixed:` win over a file of that name in the current folder (`./openr1` is the
    file). Anything else that exists, or that has a slash or the suffix of a trace, is a file.

    Args:
        requests: default 1000 of a name, all of a trace.
        rate: arrivals a second; excludes `concurrency`, the number of waiting clients.
        more: further fields of `WorkloadSpec`: cv, think_s, priorities, max_output.

    Raises:
        InvalidInput: an unknown name, a missing or malformed file, or a number that is refused.
    """
    if rate is not None and concurrency is not None:
        raise InvalidInput(("workload", "--rate (open loop) excludes --concurrency (closed loop); keep one"))
    if more.get("cv") is not None and rate is None:
        raise InvalidInput(("--cv", "needs --rate: it says how bursty an open loop's arrivals are"))
    if more.get("think_s") and concurrency is None:
        raise InvalidInput(("--think", "needs --concurrency: only the clients of a closed loop think"))
    if _is_file(argument):
        path = Path(argument)
        listed = read_trace(path, requests)
        if rate is None and concurrency is None and listed.arrival_ps[-1] > speed * MAX_SPAN_S * PS_PER_S:
            raise InvalidInput(
                ("--speed", f"{speed:g} stretches {path} beyond {MAX_SPAN_S} s; use a larger one")
            )
        return WorkloadSpec(path.name, None, listed, rate, concurrency, speed, **more)
    if not argument:
        names = ", ".join(workload_names())
        raise InvalidInput(("workload", f"is empty; give {names}, fixed:IN:OUT or a trace file"))
    count = DEFAULT_REQUESTS if requests is None else requests
    try:
        draw(argument, 1, seed=0)  # refuses unknown names before anybody is called
    except InvalidInput as error:
        if argument.startswith("fixed:"):
            raise
        raise InvalidInput(("workload", f"{error.violations[0][1]}; or give a trace file")) from None
    return WorkloadSpec(argument, count, None, rate, concurrency, speed, **more)


def _is_file(argument: str) -> bool:
    if argument in workload_names() or argument.startswith("fixed:"):
        return False
    path = Path(argument)
    return "/" in argument or path.suffix.lower() in TRACE_SUFFIXES or (bool(argument) and path.exists())

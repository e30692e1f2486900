"""From what people write on the command line to a workload: a name, `fixed:IN:OUT`, or a trace file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from l3sim.clients.times import MAX_SPAN_S
from l3sim.clients.traces import JSON_SUFFIXES, read_trace
from l3sim.errors import InvalidInput
from l3sim.specs.workload import DEFAULT_REQUESTS, WorkloadSpec, check_workload, draw, workload_names
from l3sim.units import PS_PER_S

TRACE_SUFFIXES = {".csv", *JSON_SUFFIXES}


def workload_spec(argument: str, requests: int | None = None, **options: Any) -> WorkloadSpec:
    """Make a workload of a name or of a trace file, which is read here.

    A published name and `fixed:` win over a file of that name in the current folder (`./openr1` is the
    file). Anything else that exists, or that has a slash or the suffix of a trace, is a file.

    Args:
        requests: default 1000 of a name, all of a trace.
        options: further fields of `WorkloadSpec`: rate, concurrency, speed, cv, ...

    Raises:
        InvalidInput: an unknown name, a missing or malformed file, or a number that is refused.
    """
    asked = WorkloadSpec(argument, DEFAULT_REQUESTS if requests is None else requests, **options)
    check_workload(asked)
    if _is_file(argument):
        path = Path(argument)
        listed, speed = read_trace(path, requests), asked.speed
        own_times = asked.rate is None and asked.concurrency is None
        if own_times and listed.arrival_ps[-1] > speed * MAX_SPAN_S * PS_PER_S:
            raise InvalidInput(
                ("--speed", f"{speed:g} stretches {path} beyond {MAX_SPAN_S} s; use a larger one")
            )
        return replace(asked, name=path.name, count=None, listed=listed)
    if not argument:
        names = ", ".join(workload_names())
        raise InvalidInput(("workload", f"is empty; give {names}, fixed:IN:OUT or a trace file"))
    try:
        draw(argument, 1, seed=0)  # refuses unknown names before any call
    except InvalidInput as error:
        if argument.startswith("fixed:"):
            raise
        raise InvalidInput(("workload", f"{error.violations[0][1]}; or give a trace file")) from None
    return asked


def _is_file(argument: str) -> bool:
    if argument in workload_names() or argument.startswith("fixed:"):
        return False
    path = Path(argument)
    return "/" in argument or path.suffix.lower() in TRACE_SUFFIXES or (bool(argument) and path.exists())

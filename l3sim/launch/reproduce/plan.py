"""Which run a figure asks for.

As published: the machines `*-as-published` and outputs of at most 20,480 tokens (QWEN's batches say that the
published run lasted about 21,000 rounds, so that no output was longer). KV capacity bounds the batch, and
neither reservation nor preemption is mentioned: so as many requests are served at once as memory holds of
their mean context, the next one begins when one ends, and memory itself refuses nothing (it is eight times as
large). Where memory holds all of them, all wait at time 0.

Ours: the machines `*-dgx-a100` and the same requests, all waiting at time 0; memory, admission and
preemption as they are. GPU-only runs one batch (`chunked`), L3 its scheduler (`l3`), all others two
sub-batches (`fill`).
"""

from dataclasses import replace
from functools import cache

from l3sim.clients.job_spec import job_spec
from l3sim.launch.reproduce.runs import Outcome, Run
from l3sim.orchestrator.job.memory_budget import kv_shape
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.job.rooflines import mean_context
from l3sim.specs.lengths import BOUND, PUBLISHED
from l3sim.specs.workload import requests_of

AS_PUBLISHED, OURS = "as-published", "dgx-a100"
#: Requests of a run: 1,000 as published where memory holds hundreds, else enough for several generations of
#: what it holds.
REQUESTS = {
    ("gpt-175b", "openr1"): 300,
    ("gpt-175b", "openthoughts"): 400,
    ("gpt-175b", "dolphin"): 1000,
    ("gpt-175b", "dolphin-short"): 1000,
    ("qwen-72b", "openr1"): 1000,
    ("qwen-72b", "openthoughts"): 1000,
    ("qwen-72b", "dolphin"): 1000,
    ("qwen-72b", "dolphin-short"): 1000,
    ("opt-66b", "openr1"): 300,
    ("opt-66b", "openthoughts"): 350,
    ("opt-66b", "dolphin"): 400,
    ("opt-66b", "dolphin-short"): 1000,
}
_LONGEST = 20_480
#: Times that memory is enlarged where the number of requests bounds it.
_AMPLE = 8
_SIZES = ("rank_capacity_bytes", "module_capacity_bytes", "capacity_bytes")


def bounded(workload: str) -> str:
    """The workload with its bound."""
    return f"{workload}{BOUND}{_LONGEST // PUBLISHED[workload].divisor}"


def context_of(workload: str) -> float:
    """Mean tokens that a decoding request attends in a steady backlog: in + E[out^2] / (2 E[out])."""
    moments = PUBLISHED[workload.partition(BOUND)[0]]
    squares = moments.output_mean**2 + moments.output_std**2
    return (moments.prompt_mean + squares / (2 * moments.output_mean)) / moments.divisor


@cache
def _drawn_context(workload: str, requests: int) -> float:
    """The same of the requests that are drawn."""
    return mean_context(requests_of(job_spec(workload, requests=requests).workload, 0))


def sizes_of(run: Run) -> ResolvedJob:
    """A run's machine, model and layout, whatever its requests.

    Raises:
        InvalidInput: the model does not fit.
    """
    return replace(run, workload="fixed:1:1", requests=1, concurrency=0).resolved()


def held_by(run: Run) -> float:
    """Requests of its workload's mean context that memory holds, in one replica."""
    job = sizes_of(run)
    room = int(kv_shape(job.machine, job.model, job.layout).room_bytes.sum())
    return room / (context_of(run.workload) * job.model.kv_bytes_per_token)


def served_at_once(run: Run) -> Run:
    """The run with as many of its requests at once as memory holds on average, and ample memory.

    Raises:
        InvalidInput: the model does not fit.
    """
    job = sizes_of(run)
    held = held_by(run) * context_of(run.workload) / _drawn_context(run.workload, run.requests)
    at_once = max(round(held), 1) * job.layout.dp
    section = job.machine.section("attention")
    sizes = {f"attention.{key}": section[key] for key in _SIZES if section.get(key)}
    sizes["gpu.memory_bytes"] = job.machine.gpu.memory_bytes
    settings = dict(run.settings) | {key: str(_AMPLE * size) for key, size in sizes.items()}
    ample = replace(run, settings=tuple(settings.items()))
    return ample if at_once >= run.requests else replace(ample, concurrency=at_once)


def run_of(
    system: str,
    model: str,
    workload: str,
    of: str = AS_PUBLISHED,
    requests: int = 0,
    settings: tuple[tuple[str, str], ...] = (),
    policy: str = "",
    modules: int = 0,
    filled: bool = False,
) -> Run:
    """The run of a system on one row of the end-to-end table.

    Args:
        of: ending of the machine's name.
        requests: instead of those of `REQUESTS`; 0: those.
        filled: memory bounds the batch as published, too: it fills, and what has no room is preempted.
    """
    usual = {"gpu-only": "chunked", "l3": "l3"}.get(system, "fill")
    count = requests or REQUESTS[model, workload]
    name = f"{system}-{of}"
    run = Run(name, bounded(workload), model, policy or usual, count, settings, modules)
    return served_at_once(run) if of == AS_PUBLISHED and not filled else run


def ratio(one: Outcome | None, other: Outcome | None) -> float | None:
    """Throughput over another's, output tokens / total time, as it was published; None: one did not run."""
    return _over(one, other, "whole_tokens_per_s")


def steady_ratio(one: Outcome | None, other: Outcome | None) -> float | None:
    """The same of the steady parts; None where one has none."""
    return _over(one, other, "steady_tokens_per_s")


def _over(one: Outcome | None, other: Outcome | None, name: str) -> float | None:
    first, second = getattr(one, name, None), getattr(other, name, None)
    return first / second if first and second else None

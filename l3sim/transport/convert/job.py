"""Jobs as users ask for them: `l3sim.specs.job.JobSpec` <-> the message of `job.proto`.

`spec_from_proto` checks the form of a message: what is missing, what excludes what, lists that differ in
length. What the values mean is checked where they are resolved.
"""

import math
from collections.abc import Sequence

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.specs.job import DEFAULT_MAX_WINDOW, DEFAULT_POLICY, JobSpec
from l3sim.specs.model import ModelShape
from l3sim.specs.workload import DEFAULT_REQUESTS, Prefixes, Requests, WorkloadSpec
from l3sim.transport.convert.rounds import integers_from_proto
from l3sim.transport.convert.session import model_from_proto, model_to_proto
from l3sim.units import Int64s
from l3sim.v1 import job_pb2 as pb

_U32 = 2**32
_U64 = 2**64


def spec_to_proto(spec: JobSpec) -> pb.JobSpec:
    """A job, on its way to the orchestrator.

    Raises:
        InvalidInput: a number is negative or too large for the message, naming its field.
    """
    for field, number, limit in (
        ("seed", spec.seed, _U64),
        ("tp", spec.tp, _U32),
        ("dp", spec.dp, _U32),
        ("max_window", spec.max_window, _U32),
        ("spans_rounds", spec.spans_rounds, _U32),
        ("regret_plans", spec.regret_plans, _U32),
    ):
        _check_range(field, number, limit)
    message = pb.JobSpec(
        machine=spec.machine,
        policy=spec.policy,
        workload=workload_to_proto(spec.workload),
        seed=spec.seed,
        tp=spec.tp,
        dp=spec.dp,
        max_window=spec.max_window,
        settings=[pb.Setting(key=key, value=value) for key, value in spec.settings],
        spans_rounds=spec.spans_rounds,
        slo=[pb.Slo(metric=metric, at_most_s=at_most) for metric, at_most in spec.slo],
        oracle_lengths=spec.oracle_lengths,
        regret_plans=spec.regret_plans,
    )
    if isinstance(spec.model, ModelShape):
        message.model_shape.CopyFrom(model_to_proto(spec.model))
    elif spec.model:
        message.model_name = spec.model
    return message


def spec_from_proto(message: pb.JobSpec) -> JobSpec:
    """A job as somebody asked for it.

    Raises:
        InvalidInput: the message is not of the form of a job, naming its field.
    """
    if not message.HasField("workload"):
        raise InvalidInput(("workload", "is missing; name one, or list its requests"))
    model: str | ModelShape = message.model_name
    if message.HasField("model_shape"):
        model = model_from_proto(message.model_shape)
    for index, setting in enumerate(message.settings):
        if not setting.key:
            raise InvalidInput((f"settings[{index}].key", "is empty; give slot.key"))
    return JobSpec(
        workload=workload_from_proto(message.workload),
        machine=message.machine,
        model=model,
        policy=message.policy or DEFAULT_POLICY,
        seed=message.seed,
        tp=message.tp,
        dp=message.dp,
        max_window=message.max_window or DEFAULT_MAX_WINDOW,
        settings=tuple((setting.key, setting.value) for setting in message.settings),
        spans_rounds=message.spans_rounds,
        slo=tuple((slo.metric, slo.at_most_s) for slo in message.slo),
        oracle_lengths=message.oracle_lengths,
        regret_plans=message.regret_plans,
    )


def workload_to_proto(spec: WorkloadSpec) -> pb.Workload:
    """A workload; requests that are neither listed nor counted are DEFAULT_REQUESTS.

    Raises:
        InvalidInput: a number is negative or too large for the message, or two exclude each other.
    """
    # 0 on the wire means 1, so that somebody's own 0 is refused here.
    if not (math.isfinite(spec.speed) and spec.speed > 0):
        raise InvalidInput(("workload.speed", f"must be above 0, got {spec.speed}"))
    message = pb.Workload(name=spec.name, speed=spec.speed, think_s=spec.think_s)
    if spec.cv is not None:
        # 0 on the wire means none.
        if not spec.cv > 0:
            raise InvalidInput(("workload.cv", f"must be above 0, got {spec.cv}"))
        message.cv = spec.cv
    if spec.max_output is not None:
        _check_range("workload.max_output", spec.max_output - 1, _U64 - 1)
        message.max_output_tokens = spec.max_output
    for level, share in spec.priorities:
        _check_range("workload.priorities", level, _U32)
        message.priorities.add(priority=level, share=share)
    if spec.listed is not None:
        message.listed.CopyFrom(requests_to_proto(spec.listed))
    else:
        count = DEFAULT_REQUESTS if spec.count is None else spec.count
        _check_range("workload.requests", count, _U32)
        message.generated.requests = count
    if spec.rate is not None and spec.concurrency is not None:
        raise InvalidInput(("workload.rate", "rate (open loop) excludes concurrency (closed loop)"))
    if spec.rate is not None:
        message.rate = spec.rate
    if spec.concurrency is not None:
        _check_range("workload.concurrency", spec.concurrency, _U32)
        message.concurrency = spec.concurrency
    return message


def workload_from_proto(message: pb.Workload) -> WorkloadSpec:
    """A workload.

    Raises:
        InvalidInput: it has no source, or lists that differ in length.
    """
    source = message.WhichOneof("source")
    if source is None:
        raise InvalidInput(("workload.source", "is missing; give generated or listed requests"))
    arrivals = message.WhichOneof("arrivals")
    return WorkloadSpec(
        name=message.name,
        count=message.generated.requests if source == "generated" else None,
        listed=requests_from_proto(message.listed) if source == "listed" else None,
        rate=message.rate if arrivals == "rate" else None,
        concurrency=message.concurrency if arrivals == "concurrency" else None,
        speed=message.speed or 1.0,
        cv=message.cv or None,
        think_s=message.think_s,
        priorities=tuple((one.priority, one.share) for one in message.priorities),
        max_output=message.max_output_tokens or None,
    )


def requests_to_proto(requests: Requests) -> pb.ListedRequests:
    """Listed requests, every list written out.

    Raises:
        InvalidInput: a number is negative, naming its line.
    """
    columns = {
        "prompt_tokens": requests.prompt,
        "output_tokens": requests.output,
        "arrival_ps": requests.arrival_ps,
        "line": requests.line,
        "priority": requests.priority,
        "max_output_tokens": requests.limit,
    }
    if requests.prefixes is not None:
        columns |= {"prefix": requests.prefixes.number, "prefix_tokens": requests.prefixes.tokens}
    given = {field: values for field, values in columns.items() if values is not None}
    for field, values in given.items():
        below = np.flatnonzero(values < 0)
        if len(below):
            where = f"workload.listed.{field}[{below[0]}]"
            text = f"line {requests.line[below[0]]}: must be at least 0, got {values[below[0]]}"
            raise InvalidInput((where, text))
    return pb.ListedRequests(**{field: values.tolist() for field, values in given.items()})


def requests_from_proto(message: pb.ListedRequests) -> Requests:
    """Listed requests; without arrivals all come at time 0, without lines they are counted from 1.

    Raises:
        InvalidInput: lists that differ in length, a number above 2^63 - 1.
    """
    count = len(message.prompt_tokens)
    prompt = _list(message.prompt_tokens, "prompt_tokens", count)
    output = _list(message.output_tokens, "output_tokens", count)
    arrival = np.zeros(count, dtype=np.int64)
    if message.arrival_ps:
        arrival = _list(message.arrival_ps, "arrival_ps", count)
    line = np.arange(1, count + 1, dtype=np.int64)
    if message.line:
        line = _list(message.line, "line", count)
    prefixes = None
    if message.prefix or message.prefix_tokens:
        number = _list(message.prefix, "prefix", count)
        prefixes = Prefixes(number, _list(message.prefix_tokens, "prefix_tokens", count))
    priority, limit = (
        _list(values, name, count) if values else None
        for name, values in (
            ("priority", message.priority),
            ("max_output_tokens", message.max_output_tokens),
        )
    )
    return Requests(prompt, output, arrival, line, prefixes, priority, limit)


def _list(values: Sequence[int], name: str, count: int) -> Int64s:
    field = f"workload.listed.{name}"
    if len(values) != count:
        raise InvalidInput((field, f"must be as long as prompt_tokens ({count}), got {len(values)}"))
    return integers_from_proto(values, field)


def _check_range(field: str, number: int, limit: int) -> None:
    if not 0 <= number < limit:
        raise InvalidInput((field, f"must be 0 to {limit - 1}, got {number}"))

"""Jobs as users ask for them: `l3sim.specs.job.JobSpec` <-> the message of `job.proto`.

Options of a plain value travel under their field's name (`l3sim/specs/option.py`): a new one needs a field
of that name in `job.proto`, and nothing here. `spec_from_proto` checks the form of a message: what is
missing, lists that differ in length. What the values mean is checked where they are resolved.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.specs.job import JobSpec, check_job
from l3sim.specs.model import ModelShape
from l3sim.specs.option import PLAIN, declared, plain_options
from l3sim.specs.requests import Prefixes, Requests
from l3sim.specs.workload import DEFAULT_REQUESTS, WorkloadSpec
from l3sim.transport.convert.rounds import integers_from_proto
from l3sim.transport.convert.session import model_from_proto, model_to_proto
from l3sim.units import Int64s
from l3sim.v1 import job_pb2 as pb


def spec_to_proto(spec: JobSpec) -> pb.JobSpec:
    """A job, on its way to the orchestrator.

    Raises:
        InvalidInput: it is one that no machine takes, by field; a number of a listed request is negative.
    """
    # Whatever is in bounds fits the message, and is told from what is left out.
    check_job(spec)
    message = pb.JobSpec(
        machine=spec.machine,
        workload=workload_to_proto(spec.workload),
        settings=[pb.Setting(key=key, value=value) for key, value in spec.settings],
        slo=[pb.Slo(metric=metric, at_most_s=at_most) for metric, at_most in spec.slo],
        **plain_options(spec),
    )
    if isinstance(spec.model, ModelShape):
        message.model_shape.CopyFrom(model_to_proto(spec.model))
    elif spec.model:
        message.model_name = spec.model
    return message


def spec_from_proto(message: pb.JobSpec) -> JobSpec:
    """A job as a client asked for it.

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
        settings=tuple((setting.key, setting.value) for setting in message.settings),
        slo=tuple((slo.metric, slo.at_most_s) for slo in message.slo),
        **_given(message, JobSpec),
    )


def workload_to_proto(spec: WorkloadSpec) -> pb.Workload:
    """A workload; requests that are neither listed nor counted are DEFAULT_REQUESTS."""
    # How many there are stands in the message of the source.
    plain = {name: value for name, value in plain_options(spec).items() if name != "count"}
    message = pb.Workload(name=spec.name, **plain)
    for level, share in spec.priorities:
        message.priorities.add(priority=level, share=share)
    if spec.listed is not None:
        message.listed.CopyFrom(requests_to_proto(spec.listed))
    else:
        message.generated.requests = DEFAULT_REQUESTS if spec.count is None else spec.count
    return message


def workload_from_proto(message: pb.Workload) -> WorkloadSpec:
    """A workload.

    Raises:
        InvalidInput: it has no source, or lists that differ in length.
    """
    source = message.WhichOneof("source")
    if source is None:
        raise InvalidInput(("workload.source", "is missing; give generated or listed requests"))
    return WorkloadSpec(
        name=message.name,
        count=message.generated.requests if source == "generated" else None,
        listed=requests_from_proto(message.listed) if source == "listed" else None,
        priorities=tuple((one.priority, one.share) for one in message.priorities),
        **_given(message, WorkloadSpec),
    )


def _given(message: pb.JobSpec | pb.Workload, spec: type[JobSpec] | type[WorkloadSpec]) -> dict[str, Any]:
    """Options that are plain fields of a message, those left out with their defaults.

    0 and "" are left out, but in a oneof (rate, concurrency), where a number that is given is one.
    """
    found = {}
    for field in message.DESCRIPTOR.fields:
        one = declared(spec).get(field.name)
        if one is not None and one.kind in PLAIN:
            value = getattr(message, field.name)
            given = message.HasField(field.name) if field.containing_oneof is not None else bool(value)
            found[field.name] = value if given else one.default
    return found


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

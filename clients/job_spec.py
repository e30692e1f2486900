"""From the options of a job, by keyword, to its specification: for the command line and for Python alike.

An option's keyword is its flag without dashes (`max_output` for `--max-output`). What there is, and what each
may be, is declared at the fields of `JobSpec` and `WorkloadSpec` alone.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from l3sim.clients.numbers import pairs, shares
from l3sim.clients.workloads import workload_spec
from l3sim.errors import InvalidInput
from l3sim.registry import unknown
from l3sim.specs.catalog import is_path, load_model, parse_value
from l3sim.specs.job import JobSpec, check_job
from l3sim.specs.model import ModelShape
from l3sim.specs.option import PLAIN, Declared, check_bounds, declared
from l3sim.specs.workload import WorkloadSpec

#: Every option by keyword, in the order in which help shows them.
OPTIONS: Mapping[str, Declared] = {
    one.option.keyword: one for one in (*declared(JobSpec).values(), *declared(WorkloadSpec).values())
}
_OF_WORKLOAD = frozenset(declared(WorkloadSpec))


def job_spec(
    workload: str | os.PathLike[str] | WorkloadSpec,
    machine: str = "",
    settings: tuple[tuple[str, str], ...] = (),
    **options: Any,
) -> JobSpec:
    """The job that options describe; reads the trace and the model file.

    Args:
        workload: a name (`openr1`, `openr1:max=20480`), `fixed:IN:OUT` (numbers or
            ranges A..B), a trace file, or a specification, which the options change; of listed requests,
            as of a trace, `requests=N` takes the first N.
        machine: name of the machine that must answer, or "" for any.
        settings: (`slot.key`, value as YAML text) above the machine file.
        options: of OPTIONS; None is the default.

    Raises:
        InvalidInput: whatever of it is refused, by flag, or by `file:line` of a trace.
    """
    fields: dict[str, Any] = {}
    for keyword, value in options.items():
        if keyword not in OPTIONS:
            raise InvalidInput((keyword, unknown("option", keyword, list(OPTIONS))))
        if value is not None:
            fields[OPTIONS[keyword].field] = _converted(OPTIONS[keyword], value)
    of_workload = {name: fields.pop(name) for name in _OF_WORKLOAD & fields.keys()}
    try:
        if isinstance(workload, WorkloadSpec):
            served = _changed(workload, of_workload)
        elif isinstance(workload, str | os.PathLike):
            served = workload_spec(os.fspath(workload), of_workload.pop("count", None), **of_workload)
        else:
            raise InvalidInput(
                ("workload", f"must be a name, a trace file or a WorkloadSpec, got {workload!r}")
            )
        spec = JobSpec(served, machine, settings=settings, **fields)
        check_job(spec)
    except InvalidInput as refused:
        raise InvalidInput(*((_flag(field), text) for field, text in refused.violations)) from None
    return spec


def split_settings(texts: list[str]) -> tuple[tuple[str, str], ...]:
    """(`slot.key`, value as YAML text) of each `--set`.

    Raises:
        InvalidInput: one is not written so, or a key comes twice.
    """
    settings: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key, value = key.strip(), value.strip()
        slot, dot, name = key.partition(".")
        if not (equals and dot and slot and name and value):
            raise InvalidInput(("--set", f"must be slot.key=value, got {text!r}"))
        if key in settings:
            raise InvalidInput(("--set", f"{key} is set twice"))
        parse_value(key, value)
        settings[key] = value
    return tuple(settings.items())


def texts_of(values: Mapping[str, Any] | None) -> list[str]:
    """`key=value` of each, as `--set` and `--override` have it."""
    given = (values or {}).items()
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in given]


def _changed(workload: WorkloadSpec, options: dict[str, Any]) -> WorkloadSpec:
    """A specification with options on top; of listed requests, as of a trace, a count takes the first."""
    listed, count = workload.listed, options.get("count")
    if listed is None or count is None:
        return replace(workload, **options)
    if count > len(listed):
        raise InvalidInput(
            ("workload.requests", f"{workload.name} has {len(listed)} requests, fewer than {count}")
        )
    check_bounds(replace(workload, **options), "workload.")
    return replace(workload, **options | {"count": None, "listed": listed.first(count)})


def _converted(one: Declared, value: Any) -> Any:
    flag = one.option.flag
    if one.field == "model":
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(value, str | ModelShape):
            raise InvalidInput((flag, f"must be a name, a file or a ModelShape, got {value!r}"))
        return load_model(value) if isinstance(value, str) and is_path(value) else value
    given = value
    if one.kind not in PLAIN and isinstance(value, str):
        value = shares(flag, value) if one.field == "priorities" else pairs(flag, value)
    elif isinstance(value, Mapping):
        value = tuple((_plain(name), _plain(number)) for name, number in value.items())
    try:
        return msgspec.convert(_plain(value), one.kind)
    except msgspec.ValidationError as error:
        raise InvalidInput((flag, f"{error}, got {given!r}")) from None


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _flag(field: str) -> str:
    """A field of a specification as people know it: `--cv` for `workload.cv`."""
    for spec, prefix in ((JobSpec, ""), (WorkloadSpec, "workload.")):
        for one in declared(spec).values():
            if field == prefix + (one.option.named or one.field) and field != "model":
                return one.option.flag
    return field

"""Groups of options that a command takes as one parameter each: dataclasses, or with `parameters()`."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints


def grouped(command: Callable[..., Any]) -> Callable[..., Any]:
    """Unfold the parameters of `command` that are option groups, so that typer sees every option."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: _parameters(hint) for name, hint in hints.items() if _is_group(hint)}
    unfolded: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            unfolded += groups[parameter.name]
        else:
            unfolded.append(keyword(parameter.name, hints[parameter.name], parameter.default))

    @functools.wraps(command)
    def run(**values: Any) -> Any:
        for name, own in groups.items():
            values[name] = hints[name](**{one.name: values.pop(one.name) for one in own})
        return command(**values)

    run.__signature__ = inspect.Signature(unfolded)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in unfolded}
    return run


def keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """A parameter as typer reads it."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and (is_dataclass(hint) or hasattr(hint, "parameters"))


def _parameters(group: Any) -> list[inspect.Parameter]:
    if hasattr(group, "parameters"):
        own: list[inspect.Parameter] = group.parameters()
        return own
    hints = get_type_hints(group, include_extras=True)
    return [
        keyword(
            field.name,
            hints[field.name],
            inspect.Parameter.empty if field.default is MISSING else field.default,
        )
        for field in fields(group)
    ]

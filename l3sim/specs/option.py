"""How an option of a job is declared: once, at its field of `JobSpec` or `WorkloadSpec`.

    regret_plans: Annotated[int, Option("--regret", "Compare K plans ...", "K", 1, 1000)] = 0

Derived from that are its check (`check_bounds`), its option on the command line, its keyword in Python
(`l3sim.run(..., regret=4)`), its way over the wire under the field's name, its part in the job's digest, and
its entry in config.yaml.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from l3sim.errors import InvalidInput

#: Kinds of an option that is one number, text or switch.
PLAIN = (int, float, bool, str)


@dataclass(frozen=True)
class Option:
    """What a user is told of an option, and what its value may be.

    Attributes:
        flag: on the command line; without dashes, its keyword in Python.
        metavar: of its value in help texts; "" for a plain one.
        least, most: bounds of a whole number; a real one is above 0 and at most `most`.
        unit: of a real number.
        empty: whether a text may be empty.
        named: in what is refused; "": as its field.
        changes_result: whether a report may differ with it; then the job's digest covers it.
    """

    flag: str
    help: str
    metavar: str = ""
    least: int = 0
    most: float = math.inf
    unit: str = ""
    empty: bool = True
    named: str = ""
    changes_result: bool = True

    @property
    def keyword(self) -> str:
        """Its name in Python."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class Declared:
    """An option at its field.

    Attributes:
        kind: int, float, bool or str; of anything else, what it is made of.
        optional: whether None is a value.
    """

    field: str
    option: Option
    kind: Any
    optional: bool
    default: Any

    def wrong(self, value: Any) -> str:
        """What is wrong with a value; "" for nothing. The default is right, whatever the bounds."""
        option = self.option
        if value == self.default:
            return ""
        if self.kind is int and not option.least <= value <= option.most:
            return f"must be {option.least} to {option.most}, got {value}"
        if self.kind is float and not 0 < value <= option.most:  # false of nan, too
            return f"must be above 0 and at most {option.most:g} {option.unit}, got {value}"
        if self.kind is str and not (value or option.empty):
            return "must not be empty"
        return ""


def declared(spec: type[Any]) -> Mapping[str, Declared]:
    """The options that a specification declares, by field, in order."""
    hints = get_type_hints(spec, include_extras=True)
    defaults = {field.name: None if field.default is MISSING else field.default for field in fields(spec)}
    found = {}
    for name, hint in hints.items():
        if get_origin(hint) is not Annotated:
            continue
        inner, *notes = get_args(hint)
        for option in notes:
            if isinstance(option, Option):
                optional = get_origin(inner) in (Union, UnionType) and type(None) in get_args(inner)
                kind = next(part for part in get_args(inner) if part is not type(None)) if optional else inner
                found[name] = Declared(name, option, kind, optional, defaults[name])
    return found


def check_bounds(spec: Any, prefix: str = "") -> None:
    """Refuse what is out of the bounds that its declaration gives.

    Raises:
        InvalidInput: by field, after `prefix`.
    """
    for name, one in declared(type(spec)).items():
        if wrong := one.wrong(getattr(spec, name)):
            raise InvalidInput((prefix + (one.option.named or name), wrong))


def plain_options(spec: Any) -> dict[str, Any]:
    """The options of a specification that are of a plain kind, by field; those without a value are out."""
    plain = (name for name, one in declared(type(spec)).items() if one.kind in PLAIN)
    values = {name: getattr(spec, name) for name in plain}
    return {name: value for name, value in values.items() if value is not None}


def deciding_options(spec: Any) -> dict[str, Any]:
    """The options that may change a result, by field, with their values."""
    return {
        name: getattr(spec, name) for name, one in declared(type(spec)).items() if one.option.changes_result
    }


def shown_options(spec: Any) -> dict[str, Any]:
    """The options as config.yaml shows them: plain values, None among them, then lists of `name:number`."""
    options = declared(type(spec))
    plain = {name: getattr(spec, name) for name, one in options.items() if one.kind in PLAIN}
    lists = {name: getattr(spec, name) for name, one in options.items() if get_origin(one.kind) is tuple}
    return plain | {name: [f"{of}:{number:g}" for of, number in pairs] for name, pairs in lists.items()}

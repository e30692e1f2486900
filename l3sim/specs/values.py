"""Plain values of a section: checked one by one, so that messages name a key, and filled into a struct."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from l3sim.errors import InvalidInput, L3Error
from l3sim.kinds import reason
from l3sim.specs.attention import no_such_key
from l3sim.specs.config import ATTACC_KEYS, CALIBRATION_KEYS, MEASURED_KEYS
from l3sim.specs.section import Section

StructT = TypeVar("StructT", bound=msgspec.Struct)


def fill(name: str, struct: type[StructT], values: Mapping[str, Any], where: str) -> StructT:
    """Fill a struct with a section's plain values.

    Raises:
        InvalidInput: naming `section.key`, what it got and what there is; or the section, where the struct
            refuses its values together.
    """
    fields = fields_of(struct)
    names = [field.name for field in fields]
    for key in values:
        if key not in names:
            raise InvalidInput((f"{name}.{key}", f"{where}: {no_such_key(name, key, names)}"))
    for field in fields:
        if field.required and field.name not in values:
            level = "attacc" if field.name in ATTACC_KEYS else "calibrated"
            of_level = field.name in (*CALIBRATION_KEYS, *MEASURED_KEYS, *ATTACC_KEYS)
            why = f"; level {level} needs it (docs/gpus.md)" if of_level else ""
            raise InvalidInput((f"{name}.{field.name}", f"{where}: missing{why}"))
        if field.name in values:
            _check_value(name, field, values[field.name], where)
    try:
        if not issubclass(struct, Section):
            return msgspec.convert(dict(values), struct)
        filled = struct.filled(values)
        filled.check(where)
        return filled
    except L3Error:
        raise
    # Each value is of its type: what is left is the struct's own, a stranger's `__post_init__` or `check`.
    except Exception as error:
        raise InvalidInput((name, f"{where}: {reason(error, struct)}")) from error


def fields_of(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The keys of a section that a struct is filled from."""
    return struct.fields() if issubclass(struct, Section) else msgspec.structs.fields(struct)


def _check_value(section: str, field: msgspec.structs.FieldInfo, value: Any, where: str) -> None:
    """Check one value on its own, so that the message can name it."""
    path = f"{section}.{field.name}"
    try:
        msgspec.convert(value, field.type)
    except msgspec.ValidationError as error:
        if get_origin(field.type) is Literal:
            words = ", ".join(map(str, get_args(field.type)))
            raise InvalidInput((path, f"{where}: must be one of: {words}; got {value!r}")) from None
        raise InvalidInput((path, f"{where}: {error}, got {value!r}")) from None
    if isinstance(value, float) and not abs(value) < 1e30:
        raise InvalidInput((path, f"{where}: must be finite, got {value!r}"))

"""Kinds that are not ours: the keys that the machine itself reads, and the device's own beside them.

link:
  kind: flat               the stranger's word
  overlap: rankset         read by the machine: the fields below
  bytes_per_s: 64.0e9      the device's own

Where the class of the kind is at hand (`l3sim/kinds.py`), its `struct` says which keys there are, and of what
type. Where it is not, the machine file names the device, which refuses at Hello what it does not know.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, cast

import msgspec

from l3sim.errors import InvalidInput
from l3sim.registry import unknown
from l3sim.specs.modules import RanklessConfig
from l3sim.specs.schema import keys_of
from l3sim.specs.section import Bytes, Count, ReserveShare, Section, definition

#: What a value of a key that only the device knows may be.
Scalar = str | int | float | bool | None


class GpuSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the machine reads of GPUs; the base of a configuration of one's own."""

    kind: str
    level: str = ""
    gpus: Count
    memory_bytes: Bytes  # of one GPU
    memory_reserve_share: ReserveShare

    @property
    def gemm_rates(self) -> tuple[float, float] | None:
        """Bytes and FLOPs a second that one GPU reaches in GEMMs; None: the kind does not say."""
        return None


class ModuleSection(RanklessConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the machine reads of attention devices: modules without ranks that attend whole heads.

    The base of a configuration of one's own; devices of another shape begin with `AttentionSection`.
    """


class LinkSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the machine reads of a link; the base of a configuration of one's own."""

    kind: str
    level: str = ""
    overlap: Literal["rankset", "off"] = "rankset"
    channel_bus: Literal["half", "full"] = "half"


FOREIGN: Mapping[str, type[Section]] = {"gpu": GpuSection, "attention": ModuleSection, "link": LinkSection}

#: What the machine asks of a section; a struct of one's own that has all of it stands as it is.
_ASKED: Mapping[str, tuple[str, ...]] = {
    "gpu": ("kind", "gpus", "memory_bytes", "memory_reserve_share", "gemm_rates"),
    "attention": ("kind", "layout"),
    "link": ("kind", "overlap", "channel_bus"),
}


def is_foreign(section: Section) -> bool:
    """Whether a section has what the machine reads of a kind that is not ours, and nothing of ours."""
    return isinstance(section, tuple(FOREIGN.values()))


def struct_of_keys(section: str, values: Mapping[str, Any]) -> type[Section]:
    """The struct of a section whose class is not at hand: the machine's keys, and what else the file has."""
    return _with_keys(section, tuple(sorted(values.keys() - set(FOREIGN[section].__struct_fields__))))


# As equal sections must be of one class, a class is made once.
@lru_cache(maxsize=64)
def _with_keys(section: str, keys: tuple[str, ...]) -> type[Section]:
    return _with_fields(FOREIGN[section], [(key, Scalar) for key in keys])


@lru_cache(maxsize=64)
def struct_of_class(section: str, struct: type[msgspec.Struct]) -> type[Section]:
    """The struct of a section by that of its device class: the machine's keys, and the device's own."""
    base = FOREIGN[section]
    if issubclass(struct, Section) and all(hasattr(struct, name) for name in _ASKED[section]):
        return struct
    fields = msgspec.structs.fields(struct)
    return _with_fields(base, [definition(one) for one in fields if one.name not in base.__struct_fields__])


def _with_fields(base: type[Section], fields: Sequence[Any]) -> type[Section]:
    return cast(
        type[Section],
        msgspec.defstruct(
            base.__name__, fields, bases=(base,), frozen=True, forbid_unknown_fields=True, kw_only=True
        ),
    )


def config_of(section: Section, schema_json: str, where: str = "the machine") -> dict[str, Any]:
    """What a device hears of its section: all of it, but keys of the machine that a stranger need not know.

    Args:
        schema_json: of its configuration; a stranger hears those of the machine's keys that this lists.
        where: says which machine, in messages.

    Raises:
        InvalidInput: the schema cannot be read, or lists keys, but not one that the file sets.
    """
    values = section.values()
    if not is_foreign(section):
        return values
    name, base = next((name, base) for name, base in FOREIGN.items() if isinstance(section, base))
    try:
        known = keys_of(schema_json)
    except InvalidInput as error:
        text = f"{where}: the schema of kind {values['kind']!r} {error.violations[0][1]}; mend the device"
        raise InvalidInput((f"{name}.kind", text)) from None
    machines = set(base.__struct_fields__)
    if not values.get("level"):
        values.pop("level", None)  # not said: the device's own default
    sent = {key: value for key, value in values.items() if key not in machines - known - {"kind"}}
    for key in sent:
        if known and key != "kind" and key not in known:
            text = (
                f"{where}: {unknown('key', key, sorted(known))}, says the device of kind {values['kind']!r}"
            )
            raise InvalidInput((f"{name}.{key}", text))
    return sent

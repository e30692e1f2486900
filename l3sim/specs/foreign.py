"""A stranger's own kind in a machine file: the keys that the machine itself reads, and any others beside.

link:
  kind: flat               the stranger's word; the file names its device under `devices`
  overlap: rankset         read by the machine: the fields below
  bytes_per_s: 64.0e9      the device's own; it refuses at Hello what it does not know
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, cast

import msgspec

from l3sim.specs.modules import RanklessConfig
from l3sim.specs.section import Bytes, Count, ReserveShare, Section

#: What a value of a key that only the device knows may be.
Scalar = str | int | float | bool | None


class ForeignGpu(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """GPUs of a kind that is not ours."""

    kind: str
    level: str = ""
    gpus: Count
    memory_bytes: Bytes  # of one GPU
    memory_reserve_share: ReserveShare

    @property
    def gemm_rates(self) -> tuple[float, float] | None:
        """Bytes and FLOPs a second that one GPU reaches in GEMMs; None: the kind does not say."""
        return None


class ForeignModules(RanklessConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Attention devices of a kind that is not ours: modules without ranks that attend whole heads."""


class ForeignLink(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A link of a kind that is not ours."""

    kind: str
    level: str = ""
    overlap: Literal["rankset", "off"] = "rankset"
    channel_bus: Literal["half", "full"] = "half"


FOREIGN: Mapping[str, type[Section]] = {"gpu": ForeignGpu, "attention": ForeignModules, "link": ForeignLink}


def is_foreign(section: Section) -> bool:
    """Whether a section is of a kind that is not ours."""
    return isinstance(section, tuple(FOREIGN.values()))


def foreign_struct(section: str, values: Mapping[str, Any]) -> type[Section]:
    """The struct of a section of a stranger's kind: what the machine reads, and the file's other keys."""
    base = FOREIGN[section]
    return _with_keys(base, tuple(sorted(values.keys() - set(base.__struct_fields__))))


@lru_cache(maxsize=64)
def _with_keys(base: type[Section], keys: tuple[str, ...]) -> type[Section]:
    # As equal sections must be of one class, a class is made once.
    fields = [(key, Scalar) for key in keys]
    return cast(
        type[Section],
        msgspec.defstruct(
            base.__name__, fields, bases=(base,), frozen=True, forbid_unknown_fields=True, kw_only=True
        ),
    )


def config_of(section: Section, schema_json: str) -> dict[str, Any]:
    """What a device hears of its section: all of it, but keys of the machine that a stranger need not know.

    Args:
        schema_json: of its configuration; a stranger hears those of the machine's keys that this lists.
    """
    values: dict[str, Any] = msgspec.to_builtins(section)
    if not is_foreign(section):
        return values
    try:
        known = set(json.loads(schema_json).get("properties", {}))
    except (ValueError, AttributeError, TypeError):
        known = set()
    machines = {
        key for struct in FOREIGN.values() if isinstance(section, struct) for key in struct.__struct_fields__
    }
    return {key: value for key, value in values.items() if key not in machines - known - {"kind"}}

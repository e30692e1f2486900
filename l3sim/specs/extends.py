"""Machine files that build on others: `extends` names the base, and the file says only what differs.

    l3-dgx-a100.yaml           l3-dgx-a100-pcie5.yaml             what is run
    link:                      extends: l3-dgx-a100               link:
      kind: interconnect   +   link:                          =     kind: interconnect       of the base
      pcie_bytes_per_s: 32e9     pcie_bytes_per_s: 64e9             pcie_bytes_per_s: 64e9   of the file

Key by key, with three exceptions, where the base's keys would speak of something else: `name` and
`description` are each file's own; a section of another `kind` begins anew; another GPU `file` keeps of the
base's gpu section what is no property of one GPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from l3sim.errors import InvalidInput
from l3sim.specs.gpu import FILE_KEY, MACHINE_KEYS

EXTENDS = "extends"
#: Files that build on each other; more are taken for a circle.
MAX_DEPTH = 8
_OWN = ("name", "description")


@dataclass(frozen=True)
class Layers:
    """A machine file and all that it builds on, merged.

    Attributes:
        raw: the mapping of one whole machine file.
        files: which file says a key, by "section.key", and by the key outside of sections.
    """

    raw: dict[str, Any]
    files: Mapping[str, str]


def alone(raw: Mapping[str, Any], file: str) -> Layers:
    """A file that builds on nothing."""
    files: dict[str, str] = {}
    for key, entry in raw.items():
        inner = entry if isinstance(entry, dict) else {}
        files.update({f"{key}.{name}": file for name in inner} if inner else {key: file})
    return Layers(dict(raw), files)


def extended(base: Layers, raw: Mapping[str, Any], file: str) -> Layers:
    """A file on top of its base.

    Raises:
        InvalidInput: it has no name or description of its own.
    """
    for key in _OWN:
        if key not in raw:
            raise InvalidInput((key, f"{file}: missing; a file that extends another has its own"))
    own = alone({key: entry for key, entry in raw.items() if key != EXTENDS}, file)
    merged, files = dict(base.raw), dict(base.files)
    for key, entry in own.raw.items():
        below = base.raw.get(key)
        if isinstance(entry, dict) and isinstance(below, dict):
            kept = _kept(key, below, entry)
            files = {name: of for name, of in files.items() if _stays(name, key, kept)}
            merged[key] = {**kept, **entry}
        else:
            merged[key] = entry
    return Layers(merged, {**files, **own.files})


def _kept(section: str, below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """What of the base's section also holds for the section above it."""
    if "kind" in above and above["kind"] != below.get("kind"):
        return {}
    if section == "gpu" and FILE_KEY in above:
        return {key: entry for key, entry in below.items() if key in MACHINE_KEYS}
    return dict(below)


def _stays(name: str, section: str, kept: Mapping[str, Any]) -> bool:
    """Whether a base's "section.key" still counts."""
    of, _, key = name.partition(".")
    return of != section or key in kept

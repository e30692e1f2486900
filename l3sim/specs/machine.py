"""Machine files: what the virtual machine is made of, each number with its source.

A number is written `key: {value: 312.0e12, source: "A100 data sheet"}`; a bare value has no source and is
only accepted from people's own files and `--set`. Sections: gpu, attention, link, host, scheduler; beside
them `devices`, where a file says who fills a role (`l3sim/specs/choice.py`).
"""

import hashlib
import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import msgspec

from l3sim.errors import InvalidInput
from l3sim.kinds import device_class, is_file, offered, offers
from l3sim.registry import unknown
from l3sim.specs.attention import no_such_key
from l3sim.specs.choice import DEVICES, ROLES, check_choice
from l3sim.specs.config import DEVICE_KINDS, HostConfig, SchedulerConfig, Section
from l3sim.specs.foreign import is_foreign, struct_of_class, struct_of_keys
from l3sim.specs.layout import DecodePlacement
from l3sim.specs.values import fill

SECTIONS = ("gpu", "attention", "link", "host", "scheduler")
_TOP = {"name", "description", "default_model", *SECTIONS}


@dataclass(frozen=True)
class Machine:
    """A machine file, resolved and checked.

    Attributes:
        gpu, attention, link: of the kind that the file says; Any, since who reads one knows the kind.
        sources: where each value comes from, by "section.key".
        devices: who fills a role, by role, where the file says so: an id or HOST:PORT.
        files: the file that has a role's device class, by role, where the kind is said by it.
    """

    name: str
    description: str
    default_model: str
    gpu: Any
    attention: Any
    link: Any
    host: HostConfig
    scheduler: SchedulerConfig
    sources: Mapping[str, str]
    devices: Mapping[str, str] = dataclass_field(default_factory=dict)
    files: Mapping[str, str] = dataclass_field(default_factory=dict)

    @property
    def placement(self) -> DecodePlacement:
        """Who runs decode attention: devices of their own, or the GPUs."""
        placement: DecodePlacement = self.attention.placement
        return placement

    def section(self, name: str) -> dict[str, Any]:
        """A section as plain values."""
        result: dict[str, Any] = getattr(self, name).values()
        return result

    def kind_said(self, role: str) -> str:
        """The kind of a role as its file says it: a word, or the file that has its class."""
        return self.files.get(role) or str(getattr(self, role).kind)

    def resolved(self) -> dict[str, Any]:
        """Everything, as the mapping that a machine file is, sources included."""
        top: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "default_model": self.default_model,
        }
        for name in SECTIONS:
            top[name] = {
                key: {"value": value, "source": self.sources.get(f"{name}.{key}", "default")}
                for key, value in self.section(name).items()
            }
        for role, file in self.files.items():
            top[role]["kind"]["value"] = file
        return {**top, DEVICES: dict(self.devices)} if self.devices else top

    @property
    def digest(self) -> str:
        """Of all values, not of their sources: equal machines, equal digests."""
        values = {name: self.section(name) for name in SECTIONS}
        return digest_of(values)

    def with_settings(self, settings: Iterable[tuple[str, Any]], source: str = "job") -> "Machine":
        """A copy with `section.key` = value set on top.

        Raises:
            InvalidInput: an unknown section or key, or a value that is refused.
        """
        raw = self.resolved()
        for path, value in settings:
            section, _, key = path.partition(".")
            if section not in SECTIONS or not key:
                raise InvalidInput(("set", unknown("section", section, list(SECTIONS))))
            fields = [field.name for field in getattr(self, section).fields()]
            if key not in fields and not is_foreign(getattr(self, section)):
                raise InvalidInput((f"{section}.{key}", no_such_key(section, key, fields)))
            if key in {"kind", "modules", "gpus", "type"}:
                raise InvalidInput((path, "belongs to the machine, not to a job; use another machine file"))
            raw[section][key] = {"value": value, "source": source}
        return machine_from(raw, self.name)


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form, the first 16 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def machine_from(raw: Any, where: str, files: Container[str] | None = None) -> Machine:
    """Check a mapping and make a machine of it.

    Args:
        files: kinds said by a file that may be run, absolute; None: any, as of a file on this computer. What
            came over a network passes those that its receiver knows from elsewhere.

    Raises:
        InvalidInput: naming `section.key`.
    """
    if not isinstance(raw, dict):
        raise InvalidInput(("machine", f"{where}: must be a mapping of {', '.join(sorted(_TOP))}"))
    for key in raw:
        if key not in _TOP | {DEVICES}:
            raise InvalidInput((str(key), f"{where}: {unknown('key', str(key), sorted(_TOP | {DEVICES}))}"))
    for key in sorted(_TOP - raw.keys()):
        raise InvalidInput((key, f"{where}: missing"))
    if files is not None:
        _refuse_files(raw, where, files)
    sources: dict[str, str] = {}
    devices = check_choice(raw.get(DEVICES, {}), where)
    sections = {name: _section(name, raw[name], sources, where, name in devices) for name in SECTIONS}
    said = {role: str(_plain(raw[role].get("kind"))) for role in ROLES}
    machine = Machine(
        name=str(raw["name"]),
        description=str(raw["description"]),
        default_model=str(raw["default_model"]),
        sources=sources,
        devices=devices,
        files={role: kind for role, kind in said.items() if is_file(kind)},
        **sections,  # type: ignore[arg-type]
    )
    _check_whole(machine, where)
    return machine


def _refuse_files(raw: Mapping[str, Any], where: str, files: Container[str]) -> None:
    """Refuse the files that would be run for a kind, but those that are known, before any is touched."""
    for role in ROLES:
        kind = _plain(raw[role].get("kind")) if isinstance(raw[role], dict) else None
        if isinstance(kind, str) and is_file(kind) and kind not in files:
            text = (
                f"{where}: {kind} is run only where the machine's own file, or ./l3 swap beside its ./l3 up, "
                "has named it; name it there"
            )
            raise InvalidInput((f"{role}.kind", text))


def _section(name: str, raw: Any, sources: dict[str, str], where: str, foreign: bool) -> Section:
    values, found = entries_of(name, raw, where)
    sources.update(found)
    return check_section(name, values, where, foreign)


def entries_of(name: str, raw: Any, where: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Take a section's entries apart.

    Returns: the plain values by key, and their sources by "section.key".

    Raises:
        InvalidInput: it is no mapping, or an entry is neither a bare value nor {value, source}.
    """
    if not isinstance(raw, dict):
        raise InvalidInput((name, f"{where}: must be a mapping"))
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, entry in raw.items():
        if isinstance(entry, dict):
            if not {"value"} <= entry.keys() <= {"value", "source"}:
                raise InvalidInput((f"{name}.{key}", f"{where}: must have value and source, nothing else"))
            values[key] = entry["value"]
            sources[f"{name}.{key}"] = str(entry.get("source", "unsourced"))
        else:
            values[key] = entry
            sources[f"{name}.{key}"] = "unsourced"
    return values, sources


def _plain(entry: Any) -> Any:
    """A value that may stand beside its source."""
    return entry.get("value") if isinstance(entry, dict) else entry


def check_section(name: str, values: Mapping[str, Any], where: str, foreign: bool = False) -> Section:
    """Check a section's plain values.

    Args:
        foreign: whether it may be of a stranger's own kind, because the file names the device.

    Raises:
        InvalidInput: naming `section.key`, what it got and what there is.
    """
    struct, kind = _struct(name, values, where, foreign)
    return fill(name, struct, {**values, "kind": kind} if kind else values, where)


def _struct(name: str, values: Mapping[str, Any], where: str, foreign: bool) -> tuple[type[Section], str]:
    """What a section's values must fill, and the word for its kind, where it has one."""
    if name == "host":
        return HostConfig, ""
    if name == "scheduler":
        return SchedulerConfig, ""
    kind = values.get("kind")
    kinds = [known for section, known in DEVICE_KINDS if section == name]
    if kind in kinds:
        return DEVICE_KINDS[name, str(kind)].struct_for(values), str(kind)
    if isinstance(kind, str) and offered(kind):
        return _of_class(name, kind, values, where)
    if not (foreign and isinstance(kind, str) and kind):
        text = unknown("kind", str(kind), sorted({*kinds, *_strangers()}))
        if "did you mean" not in text:
            text += f"; one of your own: kind: ./FILE.py, a package that offers it, or {DEVICES}.{name}: ID"
        raise InvalidInput((f"{name}.kind", f"{where}: {text}"))
    for key in values:
        if not str(key).isidentifier():
            raise InvalidInput((f"{name}.{key}", f"{where}: must be a word of letters, digits and _"))
    return struct_of_keys(name, values), kind


def _of_class(name: str, kind: str, values: Mapping[str, Any], where: str) -> tuple[type[Section], str]:
    """The struct of a section by the class of its kind, and the word that the class goes by."""
    try:
        found = device_class(kind)
    except InvalidInput as error:
        raise InvalidInput((f"{name}.kind", f"{where}: {error.violations[0][1]}")) from None
    if found.role != name:
        text = f"{where}: {kind} is for role {found.role}, not {name}"
        raise InvalidInput((f"{name}.kind", text))
    struct = getattr(found, "struct", None)
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        return struct_of_keys(name, values), found.kind
    variant = struct.struct_for(values) if issubclass(struct, Section) else struct
    return struct_of_class(name, variant), found.kind


def _strangers() -> set[str]:
    """Kinds of other packages."""
    return offers().keys() - {kind for _, kind in DEVICE_KINDS}


def _check_whole(machine: Machine, where: str) -> None:
    if machine.scheduler.min_chunk_tokens > machine.scheduler.max_chunk_tokens:
        raise InvalidInput(("scheduler.min_chunk_tokens", f"{where}: must not exceed max_chunk_tokens"))
    least, most = machine.scheduler.min_chunk_tokens, machine.scheduler.max_chunk_tokens
    # Chunks are multiples of 64: without one in these bounds, long prompts would wait for ever.
    if most // 64 * 64 < least:
        text = f"no multiple of 64 lies between it ({least}) and max_chunk_tokens ({most})"
        raise InvalidInput(("scheduler.min_chunk_tokens", f"{where}: {text}"))

"""What all sections of a machine file share: the base struct and the ranges of its values."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo

Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Part = Annotated[float, Meta(ge=0, le=1)]
ReserveShare = Annotated[float, Meta(ge=0, lt=1)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, Meta(ge=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of a machine file; unknown keys are refused by name.

    A field that is a section itself groups keys for the code only: in files, on the wire and in reports they
    stand among the others.
    """

    @classmethod
    def fields(cls) -> tuple[FieldInfo, ...]:
        """Every key of a file's section."""
        own = msgspec.structs.fields(cls)
        return tuple(key for field in own for key in (field.type.fields() if _is_group(field) else (field,)))

    @classmethod
    def filled(cls, values: Mapping[str, Any]) -> Self:
        """A section of values by key; each of them is checked already."""
        rest = dict(values)
        for field in msgspec.structs.fields(cls):
            if _is_group(field):
                names = {key.name for key in field.type.fields()}
                group = {name: rest.pop(name) for name in names & rest.keys()}
                rest[field.name] = field.type.filled(group)
        return msgspec.convert(rest, cls, from_attributes=True)

    def values(self) -> dict[str, Any]:
        """Plain values by key."""
        found: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            found |= value.values() if isinstance(value, Section) else {name: msgspec.to_builtins(value)}
        return found

    def changed(self, **values: Any) -> Self:
        """A copy with other values of some keys, unchecked."""
        return self.filled({**self.values(), **values})

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON schema of a file's section."""
        if not any(map(_is_group, msgspec.structs.fields(cls))):
            return msgspec.json.schema(cls)
        flat = [definition(key) for key in cls.fields()]
        made = msgspec.defstruct(cls.__name__, flat, kw_only=True, forbid_unknown_fields=True)
        return msgspec.json.schema(made)

    def reads(self, key: str) -> bool:  # noqa: ARG002
        """Whether the level of this configuration reads a key; a job that sets one for nothing is warned."""
        return True

    @classmethod
    def struct_for(cls, values: Mapping[str, Any]) -> "type[Section]":  # noqa: ARG003
        """The struct that these values must fill, where a kind has several."""
        return cls

    def check(self, where: str) -> None:
        """Refuse values that do not go together.

        Raises:
            InvalidInput: naming `section.key`, with `where` in the text.
        """

    def check_replica(self, tp: int) -> None:
        """Refuse a section that does not go with `tp` GPUs a replica.

        Raises:
            InvalidInput: naming `section.key`.
        """


SectionType = type[Section]


def definition(field: FieldInfo) -> tuple[Any, ...]:
    """A field as `msgspec.defstruct` takes it: name, type, and its default where it has one."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.name, field.type, msgspec.field(default_factory=field.default_factory)
    return (field.name, field.type) if field.required else (field.name, field.type, field.default)


def _is_group(field: FieldInfo) -> bool:
    return isinstance(field.type, type) and issubclass(field.type, Section)

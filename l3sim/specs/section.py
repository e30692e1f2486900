"""What all sections of a machine file share: the base struct and the ranges of its values."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Part = Annotated[float, Meta(ge=0, le=1)]
ReserveShare = Annotated[float, Meta(ge=0, lt=1)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, Meta(ge=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of a machine file; unknown keys are refused by name."""

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

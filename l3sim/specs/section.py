"""What all sections of a machine file share: the base struct and the ranges of its values."""

from typing import Annotated

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

"""Who a device instance is, as its starter chose."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Identity:
    """One device instance of a process.

    Attributes:
        device_id: unique on the machine.
        requested_slot: the slot that it would like ("dimm-07"), or "".
        overrides: configuration that stands above the machine file's ("this DIMM is half as fast").
    """

    device_id: str
    requested_slot: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)

"""The published figures, as the data file has them."""

from functools import cache
from typing import Any

import msgspec
from ruamel.yaml import YAML

from l3sim.places import DATA

#: Systems in the order of the published table; the first is not in it.
SYSTEMS = ("gpu-only", "hbm-pim", "hbm-pim-ext", "cpu", "r-pim", "l3")


class EndToEnd(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """A row: throughput over that of `to`; None ran out of memory, or is `to` itself."""

    workload: str
    model: str
    to: str
    source: str
    cpu: float
    r_pim: float
    hbm_pim_ext: float
    hbm_pim: float | None = None
    l3: float | None = None

    @property
    def cells(self) -> dict[str, float]:
        """Its figures by system."""
        found = {system: getattr(self, system.replace("-", "_"), None) for system in SYSTEMS}
        return {system: value for system, value in found.items() if value is not None}


class Degrees(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """GPUs of a replica by model."""

    gpt_175b: int
    qwen_72b: int
    opt_66b: int
    source: str

    def of(self, model: str) -> int:
        """Of one model; 0: not published."""
        return int(getattr(self, model.replace("-", "_"), 0))


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file; rows beside the first two parts are plain mappings, each with its source."""

    tp: Degrees
    end_to_end: tuple[EndToEnd, ...]
    capacity: tuple[dict[str, Any], ...]
    scaling: tuple[dict[str, Any], ...]
    scheduler: tuple[dict[str, Any], ...]
    module: tuple[dict[str, Any], ...]
    link: tuple[dict[str, Any], ...]
    energy: tuple[dict[str, Any], ...]
    predictors: tuple[dict[str, Any], ...]
    hbm_bandwidth: tuple[dict[str, Any], ...]
    area: tuple[dict[str, Any], ...]


@cache
def load_published() -> Published:
    """Read the file that comes with the package."""
    raw = YAML(typ="safe", pure=True).load(DATA / "published.yaml")
    return msgspec.convert(raw, Published)

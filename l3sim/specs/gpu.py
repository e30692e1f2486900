"""GPU files: what one GPU is, each number with its source; machine files name them.

gpus/a100-80gb.yaml         machines/l3-dgx-a100.yaml       the resolved section
memory_bytes_per_s: ...     gpu:                            kind, gpus, memory_reserve_share: machine's
compute_flops: ...      +     file: a100-80gb           =   type: the file's name
norm_efficiency: ...          gpus: 8                       all else: the GPU file's, unless the
                                                            machine file says it differently
"""

from collections.abc import Mapping
from typing import Any

from l3sim.errors import InvalidInput
from l3sim.specs.config import MEASURED_KEYS
from l3sim.specs.machine import check_section, entries_of

#: Keys of a machine's gpu section that are no property of one GPU.
MACHINE_KEYS = ("kind", "gpus", "memory_reserve_share")
#: Which file the section builds on; it is gone from the resolved section.
FILE_KEY = "file"

#: Keys of measured attention and collectives by unit.
_RATES = tuple(key for key in MEASURED_KEYS if key.endswith("_bytes_per_s"))
_TIMES = tuple(key for key in MEASURED_KEYS if key.endswith("_us"))

#: Bounds that no GPU built or announced leaves: outside of them a number has the wrong unit.
_PLAUSIBLE: Mapping[str, tuple[float, float, str]] = {
    "memory_bytes": (2**30, 2**44, "bytes"),
    "memory_bytes_per_s": (1e10, 1e15, "bytes a second"),
    "compute_flops": (1e11, 1e18, "FLOP a second"),
    "fabric_bytes_per_s": (1e8, 1e14, "bytes a second"),
    "gemm_cache_bytes_per_s": (1e9, 1e14, "bytes a second, of one SM"),
    "all_reduce_bytes_per_s": (1e8, 1e14, "bytes a second"),
    **dict.fromkeys(_RATES, (1e8, 1e14, "bytes a second")),
    **dict.fromkeys(_TIMES, (0, 1e3, "microseconds")),
    "kernel_overhead_us": (0, 1e3, "microseconds"),
    "gemm_launch_us": (0, 1e3, "microseconds"),
    "stream_launch_us": (0, 1e3, "microseconds"),
    "all_reduce_latency_us": (0, 1e4, "microseconds"),
    "tdp_w": (5, 1e4, "watts"),
    "idle_w": (0, 1e4, "watts"),
}


def gpu_from(raw: Any, where: str) -> dict[str, Any]:
    """Check a GPU file.

    Returns: entries of a machine's gpu section, `type` among them, those of `MACHINE_KEYS` not.

    Raises:
        InvalidInput: a key is missing, unknown, refused, or not in its unit; the field is `gpu.key`.
    """
    if not isinstance(raw, dict):
        raise InvalidInput(("gpu", f"{where}: must be a mapping of keys to {{value, source}}"))
    for key in ("name", "description"):
        if not isinstance(raw.get(key), str):
            raise InvalidInput((f"gpu.{key}", f"{where}: missing, or no text"))
    for key in (*MACHINE_KEYS, FILE_KEY, "type"):
        if key in raw:
            raise InvalidInput((f"gpu.{key}", f"{where}: belongs in a machine file, not in a GPU's"))
    entries = {key: entry for key, entry in raw.items() if key not in ("name", "description")}
    values, _ = entries_of("gpu", entries, where)
    check_section("gpu", {"kind": "gpu", **values, "gpus": 1, "memory_reserve_share": 0.0}, where)
    for key, (least, most, unit) in _PLAUSIBLE.items():
        if key in values and not least <= values[key] <= most:
            text = f"{where}: {values[key]!r} cannot be {unit} of a GPU; check the unit"
            raise InvalidInput((f"gpu.{key}", text))
    return {**entries, "type": {"value": raw["name"], "source": f"GPU file {raw['name']}"}}


def section_with(gpu: Mapping[str, Any], section: Mapping[str, Any], whole: bool) -> dict[str, Any]:
    """A machine's gpu section built on a GPU file's entries.

    Args:
        whole: the file replaces every key of one GPU (`--gpu`), not only those that the section leaves out.
    """
    kept = {key: entry for key, entry in section.items() if key != FILE_KEY}
    if whole:
        kept = {key: entry for key, entry in kept.items() if key in MACHINE_KEYS}
    return {**gpu, **kept}

"""Fit a GPU file's calibration to measurements: `python -m scripts.fit_gpu GPU.yaml PROFILE.csv...`.

Finds, by robust least squares on the logarithm of time, the parameters of `services/gpu/calibrated.py`; what
they mean stands there. Everything else of the file stays as it is. A weak pull towards a prior (another GPU's
file, or `PRIOR`) decides what the measurements leave open. A minute at most; the same files, the same result.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from scipy.optimize import least_squares

from l3sim.errors import InvalidInput, L3Error
from l3sim.services.gpu.all_reduce import all_reduce_s
from l3sim.services.gpu.calibrated import STREAMS
from l3sim.specs.catalog import load_group
from l3sim.specs.config import CalibratedGpuConfig, ProfiledGpuConfig
from l3sim.units import Floats
from scripts.gpu_profiles import (
    ATTENTION_COLUMNS,
    AllReduces,
    Attended,
    Profile,
    Timed,
    read_all_reduces,
    read_profile,
)

#: Order of magnitude of every fitted parameter, from no GPU in particular.
PRIOR: Mapping[str, float] = {
    "gemm_compute_efficiency": 0.8,
    "gemm_memory_efficiency": 0.8,
    "gemm_cache_bytes_per_s": 150e9,
    "gemm_launch_us": 3.0,
    "gemm_tile_us": 1.0,
    "gemm_interference": 0.3,
    "gemm_tail_share": 0.5,
    "stream_launch_us": 1.0,
    **{f"{stream}_efficiency": 0.5 for stream in STREAMS},
    **{f"{stream}_element_ns": 0.2 for stream in STREAMS},
}
GEMM_KEYS = tuple(key for key in PRIOR if key.startswith("gemm_"))
STREAM_KEYS = tuple(key for key in PRIOR if not key.startswith("gemm_"))
#: Fitted where a profile has attention, else as the GPU file assumes.
ATTENTION_PRIOR: Mapping[str, float] = {
    "attention_compute_efficiency": 0.5,
    "attention_memory_efficiency": 0.8,
}
ATTENTION_KEYS = tuple(ATTENTION_PRIOR)
_AT_MOST_ONE = {
    *ATTENTION_KEYS,
    "gemm_compute_efficiency",
    "gemm_memory_efficiency",
    "gemm_interference",
    "gemm_tail_share",
    *(f"decode_{key}" for key in ("memory_efficiency", "interference", "tail_share")),
    *(f"prefill_{key}" for key in ("compute_efficiency", "memory_efficiency", "interference", "chain_share")),
}
GpuT = TypeVar("GpuT", bound=CalibratedGpuConfig)

#: Sizes below are warm-up artefacts in the DGX A100 profile: slower than ten times as much.
LEAST_REDUCED_BYTES = 10 * 1024
#: How far a parameter may go from its prior, either way.
SPAN = 30.0
#: Weight of the pull to the prior, a measurement having 1: it decides only what they leave open.
PULL = 0.02
#: Relative error beyond which a measurement counts as an outlier, and pulls less.
OUTLIER = 0.1


def fit(gpu: GpuT, profiles: Sequence[Profile], prior: Mapping[str, float] = PRIOR) -> GpuT:
    """The GPU with its GEMM and stream parameters fitted to profiles, and attention's where they have it.

    Args:
        gpu: whose data-sheet values stay as they are.
        prior: values that the parameters stay at unless the measurements speak against it.

    Raises:
        InvalidInput: a profile has attention, and the GPU other parameters for it.
    """
    timed = [one for profile in profiles for one in profile.timed.values()]
    gemms, streams = ([one for one in timed if one.is_gemm is which] for which in (True, False))
    gpu = fit_keys(gpu, GEMM_KEYS, prior, lambda trial: _log_errors(gemms, trial))
    gpu = fit_keys(gpu, STREAM_KEYS, prior, lambda trial: _log_errors(streams, trial))
    attended = [profile.attended for profile in profiles if profile.attended is not None]
    if not attended:
        return gpu
    if not isinstance(gpu, ProfiledGpuConfig):
        text = (
            f"its attention is fitted to kernels (scripts/fit_kernels.py); leave out {ATTENTION_COLUMNS[0]}"
        )
        raise InvalidInput(("profiles", f"{gpu.type}: {text}, or start from gpus/a40.yaml"))
    return fit_keys(gpu, ATTENTION_KEYS, ATTENTION_PRIOR, lambda trial: _attention_errors(attended, trial))


def fit_all_reduce(gpu: ProfiledGpuConfig, measured: AllReduces) -> ProfiledGpuConfig:
    """The GPU with latency and bandwidth of all-reduces fitted; sizes from 10 KiB up."""
    large = measured.where(measured.size_bytes >= LEAST_REDUCED_BYTES)

    def errors(trial: ProfiledGpuConfig) -> Floats:
        predicted = all_reduce_s(trial, large.gpus, large.size_bytes) * 1e6
        return np.asarray(np.log(predicted / large.measured_us))

    start = {"all_reduce_latency_us": 30.0, "all_reduce_bytes_per_s": 0.5 * gpu.fabric_bytes_per_s}
    return fit_keys(gpu, tuple(start), start, errors)


def in_node(measured: AllReduces) -> AllReduces:
    """Those between GPUs of one node."""
    return measured.where(measured.gpus == measured.gpus_per_node)


def prior_of(gpu: CalibratedGpuConfig) -> Mapping[str, float]:
    """Another GPU's parameters as a prior: its efficiencies are kept, what it does a second is scaled."""
    return {key: max(float(getattr(gpu, key)), PRIOR[key] / SPAN) for key in PRIOR}


def _log_errors(timed: Sequence[Timed], gpu: CalibratedGpuConfig) -> Floats:
    return np.concatenate([np.log(one.predicted_us(gpu) / one.measured_us) for one in timed])


def _attention_errors(attended: Sequence[Attended], gpu: CalibratedGpuConfig) -> Floats:
    assert isinstance(gpu, ProfiledGpuConfig)
    return np.concatenate([np.log(one.predicted_us(gpu) / one.measured_us) for one in attended])


def fit_keys(
    gpu: GpuT, keys: Sequence[str], prior: Mapping[str, float], errors: Callable[[GpuT], Floats]
) -> GpuT:
    """Least squares over the logarithms of some parameters."""
    centre = np.log([prior[key] for key in keys])
    lowest, highest = centre - np.log(SPAN), centre + np.log(SPAN)
    highest = np.where([key in _AT_MOST_ONE for key in keys], 0.0, highest)
    pull = PULL * np.sqrt(len(errors(gpu)))

    def trial_of(logs: Floats) -> GpuT:
        values = dict(zip(keys, np.exp(logs).tolist(), strict=True))
        return msgspec.structs.replace(gpu, **values)

    found = least_squares(
        lambda logs: np.concatenate([errors(trial_of(logs)), pull * OUTLIER * (logs - centre)]),
        np.clip(centre, lowest + 1e-6, highest - 1e-6),
        bounds=(lowest, highest),
        loss="soft_l1",
        f_scale=OUTLIER,
        diff_step=1e-3,
    )
    values = {key: float(f"{value:.3g}") for key, value in zip(keys, np.exp(found.x), strict=True)}
    return msgspec.structs.replace(gpu, **values)


def write(path: Path, gpu: CalibratedGpuConfig, sources: Mapping[str, str]) -> None:
    """Put fitted values and their sources into a GPU file; every other line stays.

    Raises:
        InvalidInput: a key does not stand on a line of its own.
    """
    text = path.read_text()
    for key, source in sources.items():
        value = getattr(gpu, key)
        shown = f"{value / 1e9:.3g}e9" if value >= 1e9 else f"{value:.3g}"
        entry = f'{key}: {{value: {shown}, source: "{source}"}}'
        text, lines = re.subn(rf"^{key}:.*$", entry, text, flags=re.MULTILINE)
        if lines != 1:
            raise InvalidInput((f"gpu.{key}", f"{path}: must stand on one line, found on {lines}"))
    path.write_text(text)


def main(words: Sequence[str]) -> int:
    """The command line; returns an exit code."""
    parser = argparse.ArgumentParser(prog="fit_gpu", description=str(__doc__).partition("\n")[0])
    parser.add_argument("gpu", type=Path, help="GPU file with all keys of level calibrated; it is rewritten")
    parser.add_argument("profiles", type=Path, nargs="+", help="CSV files as measure_gpu writes them")
    parser.add_argument("--all-reduce", type=Path, help="CSV file of all-reduces; those in one node count")
    parser.add_argument("--prior", default="", help="GPU whose parameters hold where the data is silent")
    parser.add_argument("--origin", required=True, help="where the measurements are from, for the sources")
    given = parser.parse_args(words)
    try:
        gpu = _calibrated(str(given.gpu))
        prior = prior_of(_calibrated(given.prior)) if given.prior else PRIOR
        profiles = [read_profile(path) for path in given.profiles]
        gpu = fit(gpu, profiles, prior)
        names = ", ".join(profile.name for profile in profiles)
        sources = dict.fromkeys(PRIOR, f"fitted by scripts/fit_gpu.py to {names} ({given.origin})")
        if any(profile.attended for profile in profiles):
            sources |= dict.fromkeys(ATTENTION_KEYS, sources["gemm_launch_us"])
        if given.all_reduce:
            if not isinstance(gpu, ProfiledGpuConfig):
                text = "has all-reduces by mode (scripts/fit_kernels.py); leave out --all-reduce"
                raise InvalidInput((str(given.gpu), text))
            gpu = fit_all_reduce(gpu, in_node(read_all_reduces(given.all_reduce)))
            source = f"fitted by scripts/fit_gpu.py to {given.all_reduce.stem} ({given.origin})"
            sources |= dict.fromkeys(("all_reduce_latency_us", "all_reduce_bytes_per_s"), source)
        write(given.gpu, gpu, sources)
    except L3Error as error:
        print(f"fit_gpu: error: {error}", file=sys.stderr)
        return error.exit_code
    for profile in profiles:
        predicted, measured = profile.layer_us(gpu)
        median, high = np.quantile(np.abs(predicted / measured - 1), [0.5, 0.9])
        print(f"{profile.name}: layer error median {median:.1%}, 90th percentile {high:.1%}")
    return 0


def _calibrated(name: str) -> CalibratedGpuConfig:
    gpu = load_group(name if "/" in name or not name.endswith(".yaml") else f"./{name}", 1, {})
    if not isinstance(gpu, CalibratedGpuConfig):
        text = f"{name} lacks the keys of level calibrated; copy those of another GPU file"
        raise InvalidInput(("gpu", text))
    return gpu


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

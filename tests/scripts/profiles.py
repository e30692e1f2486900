"""Profiles for tests: the shared ones where they are, and small ones made from known parameters."""

import csv
from pathlib import Path

import numpy as np
import pytest

from l3sim.specs.config import CalibratedGpuConfig, ProfiledGpuConfig
from l3sim.specs.model import ModelShape
from scripts.gpu_profiles import ATTENTION_COLUMNS, COLUMNS, SHAPE_COLUMNS, read_profile

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "gpu"


def shared() -> Path:
    """The folder of Vidur's profiles; skips the test where there is none."""
    if not SHARED.is_dir():
        pytest.skip("the shared data set is not here: no profiles of GPUs beside the repository")
    return SHARED


def made(path: Path, gpu: CalibratedGpuConfig, model: ModelShape, attention: bool = False) -> Path:
    """Write what a GPU with these parameters would measure."""
    shape = (model.heads, model.kv_heads, model.hidden, model.ffn, model.vocabulary, model.gated)
    rows = [
        {"tensor_parallel": tp, "num_tokens": tokens, **dict(zip(SHAPE_COLUMNS, shape, strict=True))}
        | dict.fromkeys(COLUMNS, 1.0)
        | ({"context_tokens": 1000} | dict.fromkeys(ATTENTION_COLUMNS[1:], 1.0) if attention else {})
        for tp in (1, 2, 4)
        for tokens in (*range(1, 64, 7), *range(64, 4096, 160))
    ]
    _write(path, rows)
    profile = read_profile(path)
    for column, timed in profile.timed.items():
        for row, value in zip(rows, timed.predicted_us(gpu), strict=True):
            row[column] = float(value)
    if profile.attended is not None:
        assert isinstance(gpu, ProfiledGpuConfig)
        # Two measurements a line: decode, then prefill.
        times = iter(profile.attended.predicted_us(gpu).tolist())
        for row in rows:
            row["attn_decode_us"], row["attn_prefill_us"] = next(times), next(times)
    _write(path, rows)
    return path


def noise(path: Path) -> None:
    """Replace every measurement of a profile by noise."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    random = np.random.Generator(np.random.PCG64(1))
    for row in rows:
        times = [f"{value:.1f}" for value in random.uniform(1, 9e3, len(COLUMNS))]
        row |= dict(zip(COLUMNS, times, strict=True))
    _write(path, rows)


def _write(path: Path, rows: list[dict[str, object]] | list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

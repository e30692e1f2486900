"""Fits: they find what was put in, never read what they predict, and gave what is shipped."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from l3sim.services.gpu.all_reduce import all_reduce_s
from l3sim.specs.catalog import GPUS, load_group, load_model
from l3sim.specs.config import ProfiledGpuConfig
from scripts.fit_gpu import PRIOR, STREAM_KEYS, fit, fit_all_reduce, main
from scripts.gpu_folds import FILES, data_sheet, folds_of, priors, whole_fit
from scripts.gpu_profiles import AllReduces, read_profile
from tests.scripts.profiles import made, noise, shared


def a40(**settings: float) -> ProfiledGpuConfig:
    loaded = data_sheet("a40")
    assert isinstance(loaded, ProfiledGpuConfig)
    return msgspec.structs.replace(loaded, **settings)


TRUE = a40(
    gemm_compute_efficiency=0.7,
    gemm_memory_efficiency=0.9,
    gemm_launch_us=5.0,
    norm_efficiency=0.3,
    activation_efficiency=0.8,
    attention_compute_efficiency=0.35,
    attention_memory_efficiency=0.6,
)


def test_a_fit_finds_the_parameters_behind_the_measurements(tmp_path: Path) -> None:
    models = ("llama-2-7b", "llama-2-70b")
    profiles = [read_profile(made(tmp_path / f"{name}.csv", TRUE, load_model(name), True)) for name in models]
    found = fit(a40(), profiles)
    for key in ("gemm_compute_efficiency", "gemm_memory_efficiency", "norm_efficiency"):
        assert getattr(found, key) == pytest.approx(getattr(TRUE, key), rel=0.05), key
    for key in ("attention_compute_efficiency", "attention_memory_efficiency"):
        assert getattr(found, key) == pytest.approx(getattr(TRUE, key), rel=0.02), key
    for profile in profiles:
        predicted, measured = profile.layer_us(found)
        assert np.quantile(np.abs(predicted / measured - 1), 0.9) < 0.02


def test_all_reduces_are_fitted_above_their_artefacts() -> None:
    sizes = np.array([2048.0, 10240, 1e5, 1e6, 1e7, 1e8] * 2)
    gpus = np.repeat([2.0, 8.0], 6)
    true = msgspec.structs.replace(TRUE, all_reduce_latency_us=20.0, all_reduce_bytes_per_s=150e9)
    times = all_reduce_s(true, gpus, sizes) * 1e6
    times[sizes == 2048] *= 9
    found = fit_all_reduce(TRUE, AllReduces(gpus, gpus, sizes, times))
    assert found.all_reduce_latency_us == pytest.approx(20, rel=0.01)
    assert found.all_reduce_bytes_per_s == pytest.approx(150e9, rel=0.01)


def test_a_file_is_fitted_and_keeps_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine-gpu.yaml"
    shutil.copy(GPUS / "a40.yaml", file)
    before = file.read_text()
    profile = made(tmp_path / "mine-llama-2-7b.csv", TRUE, load_model("llama-2-7b"))
    assert main([str(file), str(profile), "--prior", "a100-80gb", "--origin", "measured by me"]) == 0
    assert "mine-llama-2-7b: layer error median" in capsys.readouterr().out
    changed = [line for line in file.read_text().splitlines() if line not in before.splitlines()]
    assert sorted(line.partition(":")[0] for line in changed) == sorted(PRIOR)
    assert all("fitted by scripts/fit_gpu.py to mine-llama-2-7b (measured by me)" in line for line in changed)
    group = load_group(str(file), 1, {})
    assert isinstance(group, ProfiledGpuConfig)
    assert group.gemm_compute_efficiency == pytest.approx(0.7, rel=0.05)


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = str(made(tmp_path / "mine.csv", TRUE, load_model("llama-2-7b")))
    assert main([str(GPUS / "rtx-4090.yaml"), profile, "--origin", "me"]) == 2
    assert "rtx-4090.yaml lacks the keys of level calibrated" in capsys.readouterr().err
    assert main([str(tmp_path / "none.yaml"), profile, "--origin", "me"]) == 2
    assert "fit_gpu: error: gpu: no file" in capsys.readouterr().err


def test_attention_and_all_reduces_of_profiles_are_no_kernels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    shutil.copy(GPUS / "a100-80gb.yaml", file)
    attended = str(made(tmp_path / "mine.csv", TRUE, load_model("llama-2-7b"), True))
    assert main([str(file), attended, "--origin", "me"]) == 2
    assert "its attention is fitted to kernels" in capsys.readouterr().err
    dense = str(made(tmp_path / "dense.csv", TRUE, load_model("llama-2-7b")))
    assert main([str(file), dense, "--origin", "me", "--all-reduce", "any.csv"]) == 2
    assert "has all-reduces by mode" in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.parametrize("gpu", ["a100-80gb", "h100-80gb"])
def test_what_is_predicted_is_never_read(gpu: str, tmp_path: Path) -> None:
    for path in shared().glob("*-hf.csv"):
        shutil.copyfile(path, tmp_path / path.name)
    fold = folds_of(gpu, tmp_path)[0]
    before = fold.fit(PRIOR)
    noise(fold.held)
    assert fold.fit(PRIOR) == before
    # The noise would be felt by whoever read it.
    predicted, measured = fold.unseen().layer_us(before)
    assert np.median(np.abs(predicted / measured - 1)) > 0.3


@pytest.mark.data
def test_shipped_parameters_are_what_the_profiles_give() -> None:
    prior = priors(shared())
    for gpu in FILES:
        found, shipped = whole_fit(gpu, shared(), prior[gpu]), data_sheet(gpu)
        # The GEMMs of the others are fitted to other measurements (test_kernel_tables.py).
        for key in PRIOR if gpu == "a40" else STREAM_KEYS:
            assert getattr(found, key) == pytest.approx(getattr(shipped, key), rel=0.02), (gpu, key)

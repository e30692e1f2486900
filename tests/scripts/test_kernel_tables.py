"""Kernel tables: what is read, what is fitted, and how well shapes that were left out are predicted."""

import csv
import gzip
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import GPUS, load_group
from l3sim.specs.config import MeasuredGpuConfig
from scripts.fit_kernels import PRIORS, keys_of, main
from scripts.kernel_tables import BORROWED, KINDS, PREFIXES, read
from scripts.validate_gpu import quantiles
from scripts.validate_kernels import main as validate
from scripts.validate_kernels import shipped
from tests.scripts.profiles import ROOT, shared

TABLES = ROOT.parent / "shared" / "data" / "gpu-kernels"

#: The aim of every GPU and kind: median and 90th percentile of the error. Here are those that miss it.
AIM = (0.10, 0.25)
MISSED = {
    ("b200", "custom"): (0.10, 0.26),
    ("b200", "eager"): (0.10, 0.26),
    ("l40s", "nccl"): (0.10, 0.27),
    ("l40s", "custom"): (0.17, 0.75),
    ("l40s", "eager"): (0.27, 0.47),
}


def tables() -> Path:
    """The folder of the tables; skips the test where there is none."""
    if not TABLES.is_dir():
        pytest.skip("the shared data set is not here: no tables of GPU kernels beside the repository")
    return TABLES


@pytest.mark.data
@pytest.mark.parametrize("gpu", PREFIXES)
def test_shapes_that_no_fit_saw_are_predicted(gpu: str) -> None:
    for kind in KINDS:
        if kind in BORROWED.get(gpu, ()):
            continue
        rows = read(tables(), shipped(gpu), gpu, kind)
        found = quantiles(rows.where(rows.held).errors(shipped(gpu)))
        bounds = MISSED.get((gpu, kind), AIM)
        assert all(value <= most for value, most in zip(found, bounds, strict=True)), (kind, found)
        if (gpu, kind) in MISSED:
            assert any(value > most for value, most in zip(found, AIM, strict=True)), (kind, "meets the aim")


@pytest.mark.data
def test_no_shape_is_in_both_parts() -> None:
    for kind in KINDS:
        rows = read(tables(), shipped("a100-80gb"), "a100-80gb", kind)
        fitted, held = (
            {tuple(line) for line in np.column_stack(rows.where(part).sizes).tolist()}
            for part in (~rows.held, rows.held)
        )
        assert min(len(fitted), len(held)) > 0.8 * max(len(fitted), len(held)) or kind in (
            "decode",
            "prefill",
        )
        assert fitted.isdisjoint(held), kind


@pytest.mark.data
@pytest.mark.slow
def test_shipped_parameters_are_what_the_tables_give(tmp_path: Path) -> None:
    file = tmp_path / "a100-80gb.yaml"
    shutil.copy(GPUS / file.name, file)
    assert main([str(tables()), str(file)]) == 0
    found, here = load_group(str(file), 1, {}), shipped("a100-80gb")
    for key in (key for kind in KINDS for key in keys_of(here, kind)):
        # A parameter that the measurements leave open moves with versions of scipy; times do not.
        assert getattr(found, key) == pytest.approx(getattr(here, key), rel=0.1), key


@pytest.mark.data
@pytest.mark.slow
def test_the_page_is_what_the_command_writes(tmp_path: Path) -> None:
    assert validate([str(tables()), str(shared()), str(tmp_path)]) == 0
    told, here = ((folder / "gpu-kernels.md").read_text() for folder in (tmp_path, ROOT / "docs/generated"))
    number = re.compile(r"\d+\.\d+(?= %)")
    assert number.sub("#", told).replace("**", "") == number.sub("#", here).replace("**", "")
    shown = [[float(found) for found in number.findall(text)] for text in (told, here)]
    assert shown[0] == pytest.approx(shown[1], abs=0.3)
    names = {path.name for path in (tmp_path / "gpu-kernels").iterdir()}
    assert names == {path.name for path in (ROOT / "docs/generated/gpu-kernels").iterdir()}


def written(folder: Path, table: str, head: str, lines: Sequence[Sequence[object]]) -> None:
    with gzip.open(folder / f"a100-sxm-{table}.csv.gz", "wt", newline="") as stream:
        csv.writer(stream).writerows([head.split(","), *lines])


ATTENTION = "kv_cache_dtype,batch_size,isl,step,num_heads,num_key_value_heads,head_dim,window_size,latency_us"


def test_rows_that_measure_something_else_are_in_neither_part(tmp_path: Path) -> None:
    gpu = shipped("a100-80gb")
    # 2 GiB of weights in a microsecond, and in two thousand; another type.
    lines = [
        ("bfloat16", 1, 32768, 32768, 1.0),
        ("bfloat16", 1, 32768, 32768, 2e3),
        ("fp8", 1, 64, 64, 2.0),
    ]
    written(tmp_path, "gemm", "gemm_dtype,m,n,k,latency_us", lines)
    rows = read(tmp_path, gpu, "a100-80gb", "gemm")
    assert (rows.measured_us.tolist(), rows.left_out) == ([2e3], 1)
    prompts = [
        ("bfloat16", 1, 1, 0, 8, 8, 128, 0, 9.0),
        ("bfloat16", 1, 16384, 0, 8, 0, 128, 0, 9.0),
        ("bfloat16", 1, 16384, 0, 8, 0, 128, 0, 9e3),
        ("fp8", 1, 64, 0, 8, 8, 128, 0, 9.0),
        ("bfloat16", 1, 64, 0, 8, 8, 128, 128, 9.0),
        ("bfloat16", 1, 64, 0, 8, 8, 64, 0, 9.0),
    ]
    written(tmp_path, "context_attention", ATTENTION, prompts)
    rows = read(tmp_path, gpu, "a100-80gb", "prefill")
    assert (rows.measured_us.tolist(), rows.left_out) == ([9e3], 2)
    assert [size.tolist() for size in rows.sizes] == [[1], [8], [8], [16384]]
    with pytest.raises(InvalidInput, match=r"a100-sxm-nccl\.csv\.gz: no such table"):
        read(tmp_path, gpu, "a100-80gb", "nccl")


def test_a_fit_finds_the_parameters_behind_the_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true = msgspec.structs.replace(
        shipped("a100-80gb"),
        gemm_memory_efficiency=0.6,
        decode_launch_us=12.0,
        prefill_compute_efficiency=0.4,
        custom_latency_us=7.0,
        nccl_latency_us=12.0,
        all_reduce_eager_us=33.0,
    )
    _tables_of(tmp_path, true)
    file = tmp_path / "a100-80gb.yaml"
    shutil.copy(GPUS / file.name, file)
    assert main([str(tmp_path), str(file)]) == 0
    assert "a100-80gb prefill: held out" in capsys.readouterr().out
    found = load_group(str(file), 1, {})
    assert isinstance(found, MeasuredGpuConfig)
    assert found.gemm_memory_efficiency == pytest.approx(0.6, rel=0.1)
    assert found.decode_launch_us == pytest.approx(12.0, rel=0.1)
    assert found.prefill_compute_efficiency == pytest.approx(0.4, rel=0.1)
    assert found.custom_latency_us == pytest.approx(7.0, rel=0.1)
    assert found.nccl_latency_us == pytest.approx(12.0, rel=0.1)
    assert found.all_reduce_eager_us == pytest.approx(33.0, rel=0.02)
    text = file.read_text()
    assert "source: \"fitted by scripts/fit_kernels.py to a100-sxm-nccl (aiconfigurator's" in text


def _tables_of(folder: Path, gpu: MeasuredGpuConfig) -> None:
    """Write what a GPU with these parameters would measure."""
    lines: dict[str, list[list[object]]] = {
        "gemm": [
            ["bfloat16", m, n, k, 1e9]
            for m in (1, 16, 128, 1024, 8192)
            for n in (256, 1024, 4096, 8192)
            for k in (512, 2048, 8192, 16384)
        ],
        "generation_attention": [
            ["bfloat16", b, 1, t - 1, h, 1, 128, 0, 1e9]
            for b in (1, 8, 64, 512)
            for t in (2, 512, 4096, 65536)
            for h in (1, 2, 8, 64)
        ],
        "context_attention": [
            ["bfloat16", b, t, 0, h, 1, 128, 0, 1e9]
            for b in (1, 8, 64)
            for t in (16, 256, 1024, 8192)
            for h in (1, 2, 8, 64)
        ],
        "custom-all-reduce": [
            [backend, n, 2**power, 1e9]
            for backend in ("vllm_graph", "vllm_eager")
            for n in (2, 4, 8)
            for power in range(7, 29)
        ],
        "nccl": [["all_reduce", "half", n, 2**power, 1e9] for n in (2, 4, 8) for power in range(8, 28)],
    }
    heads = {
        "gemm": "gemm_dtype,m,n,k,latency_us",
        "generation_attention": ATTENTION,
        "context_attention": ATTENTION,
        "custom-all-reduce": "backend,num_gpus,message_size,latency_us",
        "nccl": "op_name,nccl_dtype,num_gpus,message_size,latency_us",
    }
    for table, of in lines.items():
        written(folder, table, heads[table], of)
    kinds = {"gemm": "gemm", "generation_attention": "decode", "context_attention": "prefill", "nccl": "nccl"}
    for table, kind in kinds.items():
        for line, us in zip(lines[table], _predicted(folder, gpu, kind), strict=True):
            line[-1] = us
    both = [*_predicted(folder, gpu, "custom"), *_predicted(folder, gpu, "eager")]
    for line, us in zip(lines["custom-all-reduce"], both, strict=True):
        line[-1] = us
    for table, of in lines.items():
        written(folder, table, heads[table], of)


def _predicted(folder: Path, gpu: MeasuredGpuConfig, kind: str) -> list[float]:
    found: list[float] = read(folder, gpu, "a100-80gb", kind).predicted_us(gpu).tolist()
    return found


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(GPUS / "a40.yaml")]) == 2
    assert "needs all keys of measured attention" in capsys.readouterr().err
    assert validate([str(tmp_path), str(tmp_path), str(tmp_path)]) == 2
    assert re.fullmatch(r"validate_kernels: error: .*: no such table; .*\n", capsys.readouterr().err)
    assert set(PRIORS) == set(KINDS)

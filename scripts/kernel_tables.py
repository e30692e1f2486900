"""Measured kernels of five GPUs: aiconfigurator's public tables (NVIDIA, Apache-2.0), which are not shipped.

A folder holds `PREFIX-TABLE.csv.gz`, times in microseconds, as vLLM and NCCL run them; here is BF16, heads of
128, no window. Fits read one part of the rows, tests the other: no shape is in both.

    kind                fitted                                   held out
    gemm                weights n x k at even places of the      those at odd places
                        table's widths, as on a chequerboard
    decode, prefill     1, 4, 12, 24, 40, 64 query heads         2, 8, 16, 32, 48
    custom, nccl, eager sizes and ranks with even sums of        odd sums
                        their powers of two

Some rows are in neither, for they are no measurements of what they say: times below what the bytes or FLOPs
allow at the data sheet's rates (operands came from a cache), prompts of one token (which engines decode), and
the whole table of the H200's prefill: FLOPs forbid most of its times, others are three times the H100's.
"""

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from l3sim.errors import InvalidInput
from l3sim.services.gpu.all_reduce import all_reduce_s
from l3sim.services.gpu.calibrated import gemm_s
from l3sim.services.gpu.fused import Heads, decode_s, lanes_of, prefill_s
from l3sim.specs.config import MeasuredGpuConfig
from l3sim.units import Floats

#: What the files of each GPU begin with.
PREFIXES: Mapping[str, str] = {
    "a100-80gb": "a100-sxm",
    "h100-80gb": "h100-sxm",
    "h200": "h200-sxm",
    "b200": "b200-sxm",
    "l40s": "l40s",
}
#: Bytes of a GPU's last cache: data sheets and white papers. A loop over less reads no memory.
CACHES: Mapping[str, float] = {
    "a100-80gb": 40e6,
    "h100-80gb": 50e6,
    "h200": 50e6,
    "b200": 126e6,
    "l40s": 96e6,
}
#: Share of a prefill's bytes that memory delivers though all would fit there: what describes best the part
#: that fits read. Only the L40S, whose cache is the largest against its memory, shows any saving.
PREFILL_CACHED: Mapping[str, float] = {"l40s": 0.5}
KINDS = ("gemm", "decode", "prefill", "nccl", "custom", "eager")
#: Kinds without a table of their own that holds; the GPU file has another GPU's parameters.
BORROWED: Mapping[str, tuple[str, ...]] = {"h200": ("prefill", "nccl")}
HELD_HEADS = (2, 8, 16, 32, 48)
HEAD_SIZE = 128
_MODES = {"custom": "vllm_graph", "eager": "vllm_eager"}

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Measurements of one kind on one GPU; arrays have one element a measurement.

    Attributes:
        sizes: m, k, n of a GEMM; requests, query heads, KV heads and keys or tokens each of attention; ranks
            and bytes of an all-reduce.
        held: no part of fits.
        left_out: how many rows are in neither part.
    """

    gpu: str
    kind: str
    sizes: tuple[Floats, ...]
    measured_us: Floats
    held: Flags
    left_out: int = 0

    def where(self, lines: Flags) -> "Rows":
        """Only some of them."""
        sizes = tuple(size[lines] for size in self.sizes)
        return Rows(self.gpu, self.kind, sizes, self.measured_us[lines], self.held[lines], self.left_out)

    def predicted_us(self, gpu: MeasuredGpuConfig) -> Floats:
        """The same as the model has it."""
        if self.kind == "gemm":
            return gemm_s(gpu, *self.sizes) * 1e6
        if self.kind in ("decode", "prefill"):
            requests, query, kv, tokens = self.sizes
            if self.kind == "prefill":
                heads = Heads(query[:, None], kv[:, None], HEAD_SIZE)
                one = tokens[:, None]
                moved = 4 * HEAD_SIZE * requests * tokens * (query + kv)
                share = self._from_memory(moved, PREFILL_CACHED.get(self.gpu, 1.0))
                return prefill_s(gpu, heads, one, np.zeros_like(one), requests, share) * 1e6
            keys = requests * tokens
            share = self._from_memory(4 * HEAD_SIZE * kv * keys, 0.0)
            heads = Heads(query, kv, HEAD_SIZE)
            lanes = lanes_of(gpu, heads, requests)
            return decode_s(gpu, heads, lanes, tokens, tokens, keys, share) * 1e6
        mode = msgspec.structs.replace(gpu, all_reduce_mode=self.kind)
        return np.asarray(all_reduce_s(mode, *self.sizes)) * 1e6

    def _from_memory(self, moved: Floats, cached: float) -> Floats:
        """Share of some bytes that memory delivers: `cached` of those that fit into the last cache."""
        return np.where(moved <= CACHES[self.gpu], cached, 1.0)

    def errors(self, gpu: MeasuredGpuConfig) -> Floats:
        """Predicted / measured - 1."""
        return self.predicted_us(gpu) / self.measured_us - 1


def read(folder: Path, gpu: MeasuredGpuConfig, name: str, kind: str) -> Rows:
    """One kind's measurements on one GPU.

    Raises:
        InvalidInput: the folder lacks the table, or a column.
    """
    if kind == "gemm":
        return _gemms(folder, gpu, name)
    if kind in ("decode", "prefill"):
        return _attention(folder, gpu, name, kind)
    return _all_reduces(folder, name, kind)


def _gemms(folder: Path, gpu: MeasuredGpuConfig, name: str) -> Rows:
    lines = [line for line in _lines(folder, name, "gemm") if line["gemm_dtype"] == "bfloat16"]
    m, n, k, us = _columns(lines, "m", "n", "k", "latency_us")
    places = [np.unique(width, return_inverse=True)[1] for width in (n, k)]
    moved = 2 * (m * k + k * n + m * n)
    real = (us * 1e-6 * gpu.memory_bytes_per_s >= moved) & (us * 1e-6 * gpu.compute_flops >= 2 * m * k * n)
    return _kept(Rows(name, "gemm", (m, k, n), us, (places[0] + places[1]) % 2 == 1), real)


def _attention(folder: Path, gpu: MeasuredGpuConfig, name: str, kind: str) -> Rows:
    table = "generation_attention" if kind == "decode" else "context_attention"
    lines = [
        line
        for line in _lines(folder, name, table)
        if line["kv_cache_dtype"] == "bfloat16"
        and line["head_dim"] == str(HEAD_SIZE)
        and line.get("window_size", "0") == "0"
    ]
    requests, query, kv, step, isl, us = _columns(
        lines, "batch_size", "num_heads", "num_key_value_heads", "step", "isl", "latency_us"
    )
    kv = np.where(kv == 0, query, kv)
    tokens = step + 1 if kind == "decode" else isl
    held = np.isin(query, HELD_HEADS)
    rows = Rows(name, kind, (requests, query, kv, tokens), us, held)
    if kind == "decode":
        return rows
    flops = 2 * HEAD_SIZE * query * requests * tokens * (tokens + 1)
    return _kept(rows, (tokens > 1) & (us * 1e-6 * gpu.compute_flops >= flops))


def _all_reduces(folder: Path, name: str, kind: str) -> Rows:
    if kind == "nccl":
        lines = _lines(folder, name, "nccl")
        lines = [line for line in lines if line["op_name"] == "all_reduce" and line["nccl_dtype"] == "half"]
    else:
        lines = _lines(folder, name, "custom-all-reduce")
        lines = [line for line in lines if line["backend"] == _MODES[kind]]
    ranks, elements, us = _columns(lines, "num_gpus", "message_size", "latency_us")
    size = 2 * elements
    odd = (np.round(np.log2(ranks)) + np.round(np.log2(size))) % 2 == 1
    return Rows(name, kind, (ranks, size), us, odd)


def _kept(rows: Rows, real: Flags) -> Rows:
    kept = rows.where(real)
    return Rows(kept.gpu, kept.kind, kept.sizes, kept.measured_us, kept.held, int(np.count_nonzero(~real)))


def _columns(lines: list[dict[str, str]], *names: str) -> list[Floats]:
    return [np.array([float(line[name]) for line in lines]) for name in names]


def _lines(folder: Path, name: str, table: str) -> list[dict[str, str]]:
    path = folder / f"{PREFIXES[name]}-{table}.csv.gz"
    if not path.is_file():
        raise InvalidInput((str(path), "no such table; give the folder of aiconfigurator's tables"))
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))

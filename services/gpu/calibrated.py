"""Level `calibrated`: kernels as they run on the SMs, with a few parameters a GPU, fitted to measurements.

A GEMM of m x k by k x n is cut into tiles of tm x tn results; each of the GPU's SMs works on one at a time:

                 n
        ┌────┬────┬────┬──┐     tiles  = ceil(m / tm) * ceil(n / tn)
      m │ 0  │ 1  │ 2  │ 3│     waves  = tiles / SMs, rounded up, of which `tail_share` is spread evenly
        ├────┼────┼────┼──┤     a tile = k * join(2 tm tn / flops, 2 (tm + tn) / cache) + tile_us
        │ 4  │ ..           waves * tile = compute time: of the shape in TILES that makes it least, since
                                the library that runs the GEMM has these to choose from
    split-K: where `gemm_reduce_us` says so, the library may also cut k into as many parts as SPLITS has, each
                                a tile of its own, whose results are added: `gemm_reduce_us` more a tile
    time = launch_us + join(compute, 2 (m k + k n + m n) / bandwidth)

where `flops` and `cache` are those of one SM, and

    join(a, b) = max + interference * min * min / max

is how two limits share a kernel: at 0 the lesser one hides, at 1 equals add up. A stream, such as a norm, is
as slow as one row of e elements, or as all its bytes: launch_us + max(e * element_ns, 2 rows e / bandwidth).
All-reduces are in `all_reduce.py`, attention in `fused.py`.

No parameter knows a model: what was measured on some shapes holds for others. The LM head is a GEMM like the
others and sampling a plain stream; neither was measured. Only + - * / and comparisons: the same on any
computer. The functions below take arrays as well, which is what fits need.
"""

from typing import Any

import numpy as np

from l3sim.services.gpu.all_reduce import all_reduce_s
from l3sim.services.gpu.kernels import Spent
from l3sim.specs.config import CalibratedGpuConfig
from l3sim.units import Floats

#: Shapes of the tiles that GEMM libraries of these GPUs are made of (CUTLASS's profiled set).
TILES = (
    *((256, 128), (128, 256), (128, 128), (256, 64), (64, 256), (128, 64), (64, 128)),
    *((64, 64), (32, 128), (32, 64), (16, 128), (16, 64)),
)
#: Parts that an inner width may be cut into, and what its parts' widths are multiples of.
SPLITS = (1, 2, 4, 8, 16)
_PART_MULTIPLE = 32


def _choices(splits: tuple[int, ...]) -> tuple[Floats, Floats, Floats]:
    """Rows, columns and parts of every way to cut a GEMM."""
    every = [(rows, columns, parts) for parts in splits for rows, columns in TILES]
    rows, columns, parts = np.array(every, dtype=np.float64).T
    return rows, columns, parts


_WHOLE, _SPLIT = _choices(SPLITS[:1]), _choices(SPLITS)
#: Streams whose efficiency and latency were fitted.
STREAMS = ("norm", "rotary", "activation", "residual", "embedding")


def gemm_limits_s(gpu: CalibratedGpuConfig, m: Any, k: Any, n: Any) -> tuple[Floats, Floats]:
    """Compute and memory time of GEMMs, in seconds, without launch.

    Args:
        m, k, n: rows, inner and outer width; numbers, or arrays of one shape.
    """
    m, k, n = (np.asarray(size, dtype=np.float64)[..., None] for size in (m, k, n))
    rows, columns, parts = _WHOLE if gpu.gemm_reduce_us is None else _SPLIT
    sm_flops = gpu.compute_flops * gpu.gemm_compute_efficiency / gpu.sms
    multiply_s = 2 * rows * columns / sm_flops
    load_s = 2 * (rows + columns) / gpu.gemm_cache_bytes_per_s
    width = np.where(parts > 1, np.ceil(k / parts / _PART_MULTIPLE) * _PART_MULTIPLE, k)
    tile_s = width * join(multiply_s, load_s, gpu.gemm_interference) + gpu.gemm_tile_us / 1e6
    tile_s = tile_s + np.where(parts > 1, (gpu.gemm_reduce_us or 0.0) / 1e6, 0.0)
    waves = np.ceil(m / rows) * np.ceil(n / columns) * parts / gpu.sms
    whole, spread = np.ceil(waves), np.maximum(waves, 1)
    compute_s = ((whole + gpu.gemm_tail_share * (spread - whole)) * tile_s).min(axis=-1)
    bandwidth = gpu.memory_bytes_per_s * gpu.gemm_memory_efficiency
    memory_s = (2 * (m * k + k * n + m * n) / bandwidth)[..., 0]
    return compute_s, memory_s


def join(a: Floats, b: Floats, interference: float) -> Floats:
    """Time of two limits that share a kernel; see the top of this file."""
    least, most = np.minimum(a, b), np.maximum(a, b)
    return most + interference * least * (least / most)


def gemm_s(gpu: CalibratedGpuConfig, m: Any, k: Any, n: Any) -> Floats:
    """Time of GEMMs in seconds; numbers, or arrays of one shape."""
    return join(*gemm_limits_s(gpu, m, k, n), gpu.gemm_interference) + gpu.gemm_launch_us / 1e6


def stream_work_s(gpu: CalibratedGpuConfig, name: str, rows: Any, elements: Any) -> Any:
    """Time of a stream in seconds, without launch; numbers, or arrays of one shape."""
    efficiency, element_ns = gpu.memory_efficiency, 0.0
    if name in STREAMS:
        efficiency, element_ns = getattr(gpu, f"{name}_efficiency"), getattr(gpu, f"{name}_element_ns")
    bandwidth = gpu.memory_bytes_per_s * efficiency
    return np.maximum(element_ns * elements / 1e9, 2 * rows * elements / bandwidth)


class Calibrated:
    """One GPU of a group of `tp`."""

    def __init__(self, gpu: CalibratedGpuConfig, tp: int) -> None:
        self._gpu = gpu
        self._gpus = tp

    def gemm(self, rows: int, k: int, n: int) -> Spent:
        """See Level."""
        gpu = self._gpu
        compute_s, memory_s = gemm_limits_s(gpu, rows, k, n)
        limit = "compute" if compute_s > memory_s else "weights"
        work_s = float(join(compute_s, memory_s, gpu.gemm_interference))
        return Spent(limit, work_s, gpu.gemm_launch_us / 1e6)

    def stream(self, name: str, rows: int, elements: int) -> Spent:
        """See Level."""
        work_s = float(stream_work_s(self._gpu, name, rows, elements))
        return Spent("activations", work_s, self._gpu.stream_launch_us / 1e6)

    def all_reduce(self, rows: int, width: int) -> Spent:
        """See Level."""
        work_s = float(all_reduce_s(self._gpu, self._gpus, 2 * rows * width)) if self._gpus > 1 else 0.0
        return Spent("collectives", work_s)

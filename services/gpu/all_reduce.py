"""All-reduces as measured: by size, number of ranks and mode, with a few parameters a GPU.

n ranks each hold b bytes and all need the sum. Mode `custom` is what serving engines run in CUDA graphs
(vLLM's kernels over peer memory; the data names no other), the fastest of NCCL and

    one-shot    every rank reads all others' bytes        custom_latency + (n-2) rank + (n-1) b / one_shot
    two-shot    reduce-scatter, then all-gather           ... + two_shot_us + 2 (n-1)/n b / two_shot

while b is below `custom_below_bytes` and n at most `custom_most_ranks`; beyond, and in mode `nccl`, the
fastest protocol of NCCL, whose latency grows by steps of a ring, L = nccl_latency + (n-1) rank:

    LL, LL128, Simple     L (1 + so much) + 2 (n-1)/n b / rate      each later in latency and faster in bytes
    in the switch         Simple's latency + (n+1)/n b / rate        where NVSwitch adds up (H100 and later)

Ranks that share a host bridge, not a switch of full bandwidth, divide every rate of NCCL by (n/2)^contention.
Mode `eager` is `custom` without a graph: not below what the host needs to launch it, and the input is copied
first. A GPU without these keys has one latency and rate, whatever the mode.
"""

from typing import Any

import numpy as np

from l3sim.specs.config import CalibratedGpuConfig, MeasuredGpuConfig, ProfiledGpuConfig
from l3sim.units import Floats


def all_reduce_s(gpu: CalibratedGpuConfig, gpus: Any, size_bytes: Any) -> Any:
    """Time of an all-reduce over `gpus` > 1 GPUs in seconds; numbers, or arrays of one shape."""
    if isinstance(gpu, ProfiledGpuConfig):
        share = 2 * (gpus - 1) / gpus
        return gpu.all_reduce_latency_us / 1e6 + share * size_bytes / gpu.all_reduce_bytes_per_s
    if not isinstance(gpu, MeasuredGpuConfig):
        raise TypeError(f"{type(gpu).__name__} has no all-reduces")
    if gpu.all_reduce_mode == "nccl":
        return nccl_s(gpu, gpus, size_bytes)
    graph_s = custom_s(gpu, gpus, size_bytes)
    if gpu.all_reduce_mode != "eager":
        return graph_s
    copy_s = 2 * np.asarray(size_bytes, dtype=np.float64) / (gpu.memory_bytes_per_s * gpu.memory_efficiency)
    return np.maximum(gpu.all_reduce_eager_us / 1e6, graph_s + copy_s)


def custom_s(gpu: MeasuredGpuConfig, gpus: Any, size_bytes: Any) -> Floats:
    """The same in mode `custom`."""
    n, size = np.asarray(gpus, dtype=np.float64), np.asarray(size_bytes, dtype=np.float64)
    latency_s = (gpu.custom_latency_us + gpu.custom_rank_us * (n - 2)) / 1e6
    one_s = latency_s + (n - 1) * size / gpu.custom_one_shot_bytes_per_s
    two_s = (
        latency_s + gpu.custom_two_shot_us / 1e6 + 2 * (n - 1) / n * size / gpu.custom_two_shot_bytes_per_s
    )
    own = (size < gpu.custom_below_bytes) & (n <= gpu.custom_most_ranks)
    library_s = nccl_s(gpu, n, size)
    return np.where(own, np.minimum(np.minimum(one_s, two_s), library_s), library_s)


def nccl_s(gpu: MeasuredGpuConfig, gpus: Any, size_bytes: Any) -> Floats:
    """The same in mode `nccl`."""
    n, size = np.asarray(gpus, dtype=np.float64), np.asarray(size_bytes, dtype=np.float64)
    latency_s = (gpu.nccl_latency_us + gpu.nccl_rank_us * (n - 1)) / 1e6
    moved = 2 * (n - 1) / n * size
    for _ in range(gpu.nccl_contention):
        moved = moved * (n / 2)
    later = latency_s * (1 + gpu.nccl_ll128_latency)
    last = later + latency_s * gpu.nccl_simple_latency
    fastest_s = np.minimum(
        latency_s + moved / gpu.nccl_ll_bytes_per_s, later + moved / gpu.nccl_ll128_bytes_per_s
    )
    fastest_s = np.minimum(fastest_s, last + moved / gpu.nccl_simple_bytes_per_s)
    if gpu.nccl_switch_bytes_per_s is None:
        return fastest_s
    return np.minimum(fastest_s, last + (n + 1) / n * size / gpu.nccl_switch_bytes_per_s)

"""Level `roofline`: each kernel is as slow as its slowest limit, at data-sheet rates times an efficiency.

GEMM of m x k by k x n      max(2 m k n / flops, 2 (m k + k n + m n) / bandwidth) + overhead
stream over e elements      2 e / bandwidth + overhead
ring all-reduce of b bytes  2 (TP-1)/TP * b / fabric + 2 (TP-1) * latency       (nothing when TP = 1)
"""

from l3sim.services.gpu.kernels import Spent, bytes_of
from l3sim.specs.config import GpuConfig


class Roofline:
    """One GPU of a group of `tp`."""

    def __init__(self, gpu: GpuConfig, tp: int) -> None:
        self._flops = gpu.compute_flops * gpu.compute_efficiency
        self._bytes_per_s = gpu.memory_bytes_per_s * gpu.memory_efficiency
        self._overhead_s = gpu.kernel_overhead_us / 1e6
        self._fabric_bytes_per_s = gpu.fabric_bytes_per_s * gpu.fabric_efficiency
        self._fabric_latency_s = gpu.fabric_latency_us / 1e6
        self._gpus = tp

    def gemm(self, rows: int, k: int, n: int) -> Spent:
        """See Level."""
        compute_s = 2 * rows * k * n / self._flops
        memory_s = bytes_of(rows * k + k * n + rows * n) / self._bytes_per_s
        limit = "compute" if compute_s > memory_s else "weights"
        return Spent(limit, max(compute_s, memory_s), self._overhead_s)

    def stream(self, name: str, rows: int, elements: int) -> Spent:  # noqa: ARG002
        """See Level; all streams are alike."""
        return Spent("activations", bytes_of(rows * elements) / self._bytes_per_s, self._overhead_s)

    def all_reduce(self, rows: int, width: int) -> Spent:
        """See Level."""
        steps = 2 * (self._gpus - 1)
        bytes_each = bytes_of(rows * width) / self._gpus
        return Spent("collectives", steps * (bytes_each / self._fabric_bytes_per_s + self._fabric_latency_s))

"""Attention on the GPU, of one layer and all chunks or requests of a pass in one fused kernel.

    max(4 H E pairs / flops, bytes of q, k, v, output / bandwidth) + overhead

with H query heads of size E on the GPU. A chunk of c tokens after f earlier ones has c f + c (c+1) / 2
causal (query, key) pairs and reads the keys and values of all c + f; a decoding request that holds t tokens
is a chunk of one after t. Its efficiencies are assumed (docs/gpus.md). This is level `roofline`, and level
`calibrated` of GPUs whose attention nobody measured; `fused.py` has the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.services.gpu.kernels import Spent, bytes_of
from l3sim.specs.config import GpuConfig, ProfiledGpuConfig
from l3sim.specs.model import ELEMENT_BYTES
from l3sim.units import Floats, Int64s
from l3sim.work import Chunk


@dataclass(frozen=True)
class Attention:
    """Attention on one GPU of a group."""

    flops: float
    bytes_per_s: float
    overhead_s: float
    query_width: int  # H * E
    kv_width: int

    @classmethod
    def of(cls, gpu: GpuConfig, widths: Mapping[str, int]) -> "Attention":
        """At the rates of a configuration's level."""
        efficiency, overhead_us = gpu.memory_efficiency, gpu.kernel_overhead_us
        if gpu.level == "calibrated" and isinstance(gpu, ProfiledGpuConfig):
            efficiency, overhead_us = gpu.attention_memory_efficiency, gpu.gemm_launch_us
        return cls(
            gpu.compute_flops * gpu.attention_compute_efficiency,
            gpu.memory_bytes_per_s * efficiency,
            overhead_us / 1e6,
            widths["attention"],
            widths["kv"],
        )

    def prefill(self, chunks: Sequence[Chunk]) -> Spent:
        """Causal attention of prefill chunks, the tokens before them included."""
        pairs = tokens = keys = 0
        for chunk in chunks:
            pairs += chunk.tokens * chunk.finished_tokens + chunk.tokens * (chunk.tokens + 1) // 2
            tokens += chunk.tokens
            keys += chunk.tokens + chunk.finished_tokens
        return self._fused(pairs, tokens, keys)

    def decode(self, context: Int64s) -> Spent:
        """One token of each decoding request, which hold so many tokens before it."""
        keys = int(context.sum()) + len(context)
        return self._fused(keys, len(context), keys)

    def decode_s(self, context: Int64s, rounds: int) -> Floats:
        """Seconds of `decode` in successive rounds, each with one token more of every request."""
        keys = int(context.sum()) + len(context) * np.arange(1, rounds + 1)
        elements = 2 * self.query_width * len(context) + 2 * self.kv_width * keys
        compute_s = 4 * self.query_width * keys / self.flops
        return np.maximum(compute_s, elements * ELEMENT_BYTES / self.bytes_per_s) + self.overhead_s

    def _fused(self, pairs: int, queries: int, keys: int) -> Spent:
        compute_s = 4 * self.query_width * pairs / self.flops
        elements = 2 * self.query_width * queries + 2 * self.kv_width * keys
        return Spent("attention", max(compute_s, bytes_of(elements) / self.bytes_per_s), self.overhead_s)

"""Decode attention of one head by the host, at level `roofline`: a memory channel and its share of the cores.

    T = max(bytes / bandwidth, FLOPs / rate) + overhead
    bytes = passes * t * (K and V of a token)     FLOPs = 4 * t * E_h * N_gqa

over t tokens, the new one included. K and V stream past the caches, which hold none of them from one layer to
the next; what a core keeps is the queries (2 bytes an element) and running outputs (4 bytes) of as many query
heads as its cache has room for, and each of these groups needs a pass over K and V. The exponentials,
t * N_gqa, are part of what the compute efficiency leaves out.
"""

from dataclasses import dataclass

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.placement import Layout
from l3sim.specs.config import CpuAttentionConfig
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.units import Floats, Int64s

#: Of one element of a query and of its output while it is summed up.
KEPT_BYTES = ELEMENT_BYTES + 4


@dataclass(frozen=True)
class Head:
    """One KV head of a request and layer on one channel."""

    token_bytes: int  # K and V, over all passes
    token_flops: int
    bytes_per_s: float
    flops: float
    overhead_s: float

    @classmethod
    def of(cls, cpu: CpuAttentionConfig, model: ModelShape, layout: Layout) -> "Head":
        """The head of a model on a channel.

        Raises:
            InvalidInput: not even one query head fits the cache.
        """
        room = cpu.cache_bytes // (model.head_size * KEPT_BYTES)
        if not room:
            text = f"{cpu.cache_bytes} hold no query head of {model.head_size} elements and its output"
            raise InvalidInput(("cache_bytes", text))
        passes = -(-model.queries_per_kv // min(room, layout.queries_per_read))
        return cls(
            token_bytes=passes * model.head_kv_bytes,
            token_flops=4 * model.head_size * model.queries_per_kv,
            bytes_per_s=cpu.memory_bytes_per_s * cpu.memory_efficiency,
            flops=cpu.cores / cpu.modules * cpu.core_flops * cpu.compute_efficiency,
            overhead_s=cpu.pass_overhead_ns / 1e9,
        )

    def cost_s(self, tokens: Int64s) -> Floats:
        """T over each count of tokens (the new one included), any shape."""
        memory = tokens * self.token_bytes / self.bytes_per_s
        compute = tokens * self.token_flops / self.flops
        seconds: Floats = np.maximum(memory, compute) + self.overhead_s
        return seconds

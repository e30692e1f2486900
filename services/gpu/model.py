"""The GPU side at level `roofline`: each operation is a list of kernels, each as slow as its slowest limit.

One replica is a group of `tp` GPUs in step; times are those of one GPU of it, the one with the largest share.
Rates are data-sheet rates times an efficiency; every kernel pays a fixed overhead. Elements have 2 bytes.

    GEMM of m x k by k x n      max(2 m k n / flops, 2 (m k + k n + m n) / bandwidth) + overhead
    stream over e elements      2 e / bandwidth + overhead
    ring all-reduce of b bytes  2 (TP-1)/TP * b / fabric + 2 (TP-1) * latency       (nothing when TP = 1)
    prefill attention           max(4 H E pairs / flops, bytes of q, k, v, output / bandwidth) + overhead

where a chunk of c tokens after f earlier ones has c f + c (c+1) / 2 causal (query, key) pairs, and the GPU
has H query heads of size E. Rotary embeddings, biases and the exchange of the sampled token between GPUs
hide in the overheads; the embedding table is on every GPU, so its rows need no collective (assumed).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from l3sim.specs.config import GpuConfig
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.units import ps
from l3sim.work import Chunk, Op


class Kernel(Protocol):
    """One kernel, or one collective, over some rows (tokens)."""

    @property
    def name(self) -> str:
        """As probes and reports call it."""

    @property
    def sampled(self) -> bool:
        """True: its rows are the tokens that are sampled, else all tokens of the pass."""

    def cost_s(self, rows: int, widths: Mapping[str, int], rates: "Rates") -> float:
        """Seconds over `rows` >= 1 rows."""


@dataclass(frozen=True)
class Rates:
    """What one GPU reaches, efficiencies included."""

    flops: float
    attention_flops: float
    bytes_per_s: float
    overhead_s: float
    fabric_bytes_per_s: float
    fabric_latency_s: float
    gpus: int  # of the group


@dataclass(frozen=True)
class Gemm:
    """Rows of width `k` times weights k x n; widths by name."""

    name: str
    k: str
    n: str
    sampled: bool = False

    def cost_s(self, rows: int, widths: Mapping[str, int], rates: Rates) -> float:
        """See Kernel."""
        k, n = widths[self.k], widths[self.n]
        compute_s = 2 * rows * k * n / rates.flops
        memory_s = ELEMENT_BYTES * (rows * k + k * n + rows * n) / rates.bytes_per_s
        return max(compute_s, memory_s) + rates.overhead_s


@dataclass(frozen=True)
class Stream:
    """Elements read and written in each row: so many of each width."""

    name: str
    elements: Mapping[str, int]
    sampled: bool = False

    def cost_s(self, rows: int, widths: Mapping[str, int], rates: Rates) -> float:
        """See Kernel."""
        elements = sum(times * widths[width] for width, times in self.elements.items())
        return ELEMENT_BYTES * rows * elements / rates.bytes_per_s + rates.overhead_s


@dataclass(frozen=True)
class AllReduce:
    """A ring all-reduce of rows of one width over the group."""

    name: str
    width: str
    sampled: bool = False

    def cost_s(self, rows: int, widths: Mapping[str, int], rates: Rates) -> float:
        """See Kernel."""
        steps = 2 * (rates.gpus - 1)
        bytes_each = ELEMENT_BYTES * rows * widths[self.width] / rates.gpus
        return steps * (bytes_each / rates.fabric_bytes_per_s + rates.fabric_latency_s)


#: A norm with the residual added in: both read, both written.
_NORM = Stream("norm", {"hidden": 4})

#: Kernels of each operation, in order. Widths are those of `widths_of`.
KERNELS: Mapping[Op, Sequence[Kernel]] = {
    Op.EMBED: (Stream("embedding", {"hidden": 2, "position": 1}),),
    Op.BLOCK_IN: (_NORM, Gemm("qkv", "hidden", "qkv")),
    Op.BLOCK_OUT: (
        Gemm("attention_output", "attention", "hidden"),
        AllReduce("all_reduce", "hidden"),
        _NORM,
        Gemm("ffn_up", "hidden", "ffn_up"),
        Stream("activation", {"ffn_up": 1, "ffn": 1}),
        Gemm("ffn_down", "ffn", "hidden"),
        AllReduce("all_reduce", "hidden"),
    ),
    Op.HEAD: (
        _NORM,
        Gemm("lm_head", "hidden", "vocabulary", sampled=True),
        Stream("sampling", {"vocabulary": 1}, sampled=True),
    ),
}


def widths_of(model: ModelShape, tp: int) -> dict[str, int]:
    """Widths on the GPU with the largest share; at least one KV head on each."""
    heads, kv_heads, ffn = (-(-whole // tp) for whole in (model.heads, model.kv_heads, model.ffn))
    return {
        "hidden": model.hidden,
        "position": model.hidden if model.learned_positions else 0,
        "attention": heads * model.head_size,
        "kv": kv_heads * model.head_size,
        "qkv": (heads + 2 * kv_heads) * model.head_size,
        "ffn": ffn,
        "ffn_up": (2 if model.gated else 1) * ffn,
        "vocabulary": -(-model.vocabulary // tp),
    }


def rates_of(gpu: GpuConfig, tp: int) -> Rates:
    """What one GPU of a group of `tp` reaches."""
    return Rates(
        flops=gpu.compute_flops * gpu.compute_efficiency,
        attention_flops=gpu.compute_flops * gpu.attention_compute_efficiency,
        bytes_per_s=gpu.memory_bytes_per_s * gpu.memory_efficiency,
        overhead_s=gpu.kernel_overhead_us / 1e6,
        fabric_bytes_per_s=gpu.fabric_bytes_per_s * gpu.fabric_efficiency,
        fabric_latency_s=gpu.fabric_latency_us / 1e6,
        gpus=tp,
    )


class GroupCosts:
    """Costs of one replica's group: one layer of each operation, all of one pass for embed and head."""

    def __init__(self, gpu: GpuConfig, model: ModelShape, tp: int) -> None:
        self._rates = rates_of(gpu, tp)
        self._widths = widths_of(model, tp)

    def kernels_s(self, op: Op, tokens: int, sampled: int) -> list[tuple[str, float]]:
        """Name and seconds of each kernel of a dense operation; one without rows does not run."""
        rows = [(kernel, sampled if kernel.sampled else tokens) for kernel in KERNELS[op]]
        return [(kernel.name, kernel.cost_s(n, self._widths, self._rates)) for kernel, n in rows if n]

    def dense_ps(self, op: Op, tokens: int, sampled: int) -> int:
        """Cost of embed, block_in, block_out or head over `tokens` >= 1 tokens, `sampled` of them sampled.

        A head that samples nothing (a prefill chunk that is not its prompt's last) is its norm only.

        Raises:
            ValueError: it is above `units.MAX_COST_PS`.
        """
        return ps(sum(seconds for _, seconds in self.kernels_s(op, tokens, sampled)))

    def attend_prefill_ps(self, chunks: Sequence[Chunk]) -> int:
        """Cost of causal attention of a pass's chunks in one layer, in one fused kernel.

        Raises:
            ValueError: it is above `units.MAX_COST_PS`.
        """
        heads, kv = self._widths["attention"], self._widths["kv"]
        pairs = elements = 0
        for chunk in chunks:
            tokens, finished = chunk.tokens, chunk.finished_tokens
            pairs += tokens * finished + tokens * (tokens + 1) // 2
            elements += 2 * heads * tokens + 2 * kv * (tokens + finished)
        compute_s = 4 * heads * pairs / self._rates.attention_flops
        memory_s = ELEMENT_BYTES * elements / self._rates.bytes_per_s
        return ps(max(compute_s, memory_s) + self._rates.overhead_s)

"""Level `attacc`: a GPU as the public simulator of AttAcc (ASPLOS 2024) computes it.

Fitted to nothing; it is there for results that were made with it (docs/reproduce.md). An operation is `ops`
products of m x k by k x n, of 2-byte elements, and as slow as the slower of

    compute = 2 m n k ops / (FLOP/s * efficiency * u)
    memory  = off-chip bytes / (bandwidth * efficiency * u)
    u       = blocks / (blocks rounded up to whole rounds of the SMs)
    blocks  = ceil(m / tm) * ceil(n / tn) * ops in FC layers, ops in attention

(tm, tn), of `TILES` and at most (m, n), fit an SM's shared memory with a depth of 32: those with the least
traffic to L2 / u^2, first found. Off-chip traffic is the least of a second tile, multiples of the first or
all, that fits L2 with a depth of k / 64:

    A  m x k   read ceil(n / t2n) times      B  k x n   read ceil(m / t2m) times      result  written once

Norms and activations are linear in the bytes that they touch (a norm three tensors), slopes scaled by
bandwidth; an all-reduce over n GPUs takes (n - 1) * (step + bytes / n * slope); softmax moves its scores
twice, at u. There is no embedding and no LM head. Its tables know no grouped queries: here the query heads of
a KV head are the m of its product, so that KV is read once; `attacc_kv_reads: query-head` reads it once for
each of them, as that simulator would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from l3sim.services.gpu.kernels import AllReduce, Gemm, Program, Spent, Stream, bytes_of
from l3sim.specs.config import AttAccGpuConfig
from l3sim.units import Floats, Int64s
from l3sim.work import Chunk, Op

#: Edges of a tile.
TILES = (8, 16, 32, 64, 128, 192, 256, 320, 384, 448, 512)
#: Depth of a tile in shared memory, and the parts that k is cut into in L2.
_DEPTH, _PARTS = 32, 64

_NORM = Stream("norm", {"hidden": 3})
_ALL_REDUCE = AllReduce("all_reduce", "hidden")

#: Both norms stand behind the all-reduces; gate and up are one product of twice the width (there: two).
PROGRAM: Program = {
    Op.EMBED: (),
    Op.BLOCK_IN: (Gemm("qkv", "hidden", "qkv"),),
    Op.BLOCK_OUT: (
        *(Gemm("attention_output", "attention", "hidden"), _ALL_REDUCE, _NORM),
        *(Gemm("ffn_up", "hidden", "ffn_up"), Stream("activation", {"ffn_up": 1, "ffn": 1})),
        *(Gemm("ffn_down", "ffn", "hidden"), _ALL_REDUCE, _NORM),
    ),
    Op.HEAD: (),
}


@dataclass(frozen=True)
class Plan:
    """How products run.

    Attributes:
        used: u, the share of the SMs that have a block.
    """

    used: float
    off_chip_bytes: int


class AttAcc:
    """One GPU of a group of `tp`."""

    def __init__(self, gpu: AttAccGpuConfig, tp: int) -> None:
        self._gpu = gpu
        self._gpus = tp
        self._scale = gpu.attacc_slope_bytes_per_s / gpu.memory_bytes_per_s
        self.plan = lru_cache(maxsize=65536)(self._plan)

    def gemm(self, rows: int, k: int, n: int) -> Spent:
        """See Level."""
        plan = self.plan(rows, k, n)
        compute_s, memory_s = self.limits_s(2 * rows * n * k, plan)
        return Spent("compute" if compute_s > memory_s else "weights", max(compute_s, memory_s))

    def stream(self, name: str, rows: int, elements: int) -> Spent:
        """See Level."""
        gpu = self._gpu
        fixed, slope = gpu.attacc_norm_us, gpu.attacc_norm_us_per_byte
        if name == "activation":
            fixed, slope = gpu.attacc_activation_us, gpu.attacc_activation_us_per_byte
        return Spent("activations", slope * self._scale * bytes_of(rows * elements) / 1e6, fixed / 1e6)

    def all_reduce(self, rows: int, width: int) -> Spent:
        """See Level."""
        gpu, part = self._gpu, bytes_of(rows * width) / self._gpus
        step_s = (gpu.attacc_step_ns + gpu.attacc_step_ns_per_byte * part) / 1e9
        return Spent("collectives", (self._gpus - 1) * max(step_s, part / gpu.fabric_bytes_per_s))

    def limits_s(self, flops: float, plan: Plan) -> tuple[float, float]:
        """Compute and memory time of a product."""
        gpu, used = self._gpu, plan.used
        compute_s = flops / (gpu.compute_flops * gpu.compute_efficiency * used)
        return compute_s, plan.off_chip_bytes / (gpu.memory_bytes_per_s * gpu.memory_efficiency * used)

    def used(self, blocks: int) -> float:
        """u: the share of the SMs that have a block, over all rounds."""
        sms = self._gpu.attacc_sms
        return blocks / (-(-blocks // sms) * sms)

    def _plan(self, m: int, k: int, n: int, attention: bool = False) -> Plan:
        """Of one product; in attention blocks do not count its tiles."""

        def used_by(tm: int, tn: int) -> float:
            return 1.0 if attention else self.used(-(-m // tm) * -(-n // tn))

        tiles = [(min(tm, m), min(tn, n)) for tm in TILES for tn in TILES]
        fitting = [tile for tile in tiles if self._fits(*tile)]
        tm, tn = min(fitting, key=lambda tile: _traffic(m, k, n, *tile) / used_by(*tile) ** 2)
        return Plan(used_by(tm, tn), self._off_chip_bytes(m, k, n, tm, tn))

    def _off_chip_bytes(self, m: int, k: int, n: int, tm: int, tn: int) -> int:
        """The least over the tiles in L2 that the first tile (tm, tn) makes up."""
        rows = np.append(np.arange(tm, m + 1, tm), m)[:, None]
        columns = np.append(np.arange(tn, n + 1, tn), n)[None, :]
        traffic = 2 * (-(-n // columns) * (m * k) + -(-m // rows) * (n * k) + m * n)
        held = 2 * ((rows + columns) * (k / _PARTS) + rows * columns)
        fits = held <= self._gpu.attacc_cache_bytes
        fits[0, 0] = True  # the tile itself, whatever its size
        return int(traffic[fits].min())

    def _fits(self, tm: int, tn: int) -> bool:
        """Whether a tile fits an SM's shared memory."""
        return bytes_of((tm + tn) * _DEPTH + tm * tn) <= self._gpu.attacc_shared_bytes


def _traffic(m: int, k: int, n: int, tm: int, tn: int) -> int:
    """Bytes that move into tiles of a product."""
    return bytes_of(-(-n // tn) * m * k + -(-m // tm) * n * k + m * n)


class AttAccAttention:
    """Attention on one GPU of a group: two products and a softmax a head, blocks by requests and heads.

    Args:
        heads, kv_heads: of one GPU.
    """

    overhead_s = 0.0

    def __init__(
        self, gpu: AttAccGpuConfig, level: AttAcc, heads: int, kv_heads: int, head_size: int
    ) -> None:
        self._gpu, self._level, self._size = gpu, level, head_size
        each = gpu.attacc_kv_reads == "query-head"
        self._ops = heads if each else kv_heads
        self._queries = 1 if each else heads // kv_heads

    def prefill(self, chunks: Sequence[Chunk]) -> Spent:
        """Prefill chunks, the tokens before them included; no pair is left out for being in the future."""
        used = self._level.used(self._ops * len(chunks))
        seconds = sum(
            self._chunk_s(chunk.tokens, chunk.tokens + chunk.finished_tokens, used) for chunk in chunks
        )
        return Spent("attention", seconds)

    def decode(self, context: Int64s) -> Spent:
        """One token of each decoding request, which hold so many tokens before it."""
        return Spent("attention", float(self.decode_s(context, 1)[0]))

    def decode_s(self, context: Int64s, rounds: int) -> Floats:
        """Seconds of `decode` in successive rounds, each with one token more of every request."""
        m, size, count = self._queries, self._size, len(context)
        keys = int(context.sum()) + count * np.arange(1, rounds + 1)
        used = self._level.used(self._ops * count)
        # Score and context alike: queries or outputs, keys or values, scores. They fit L2 whole.
        product = (m * size * count + size * keys + m * keys) * self._ops
        memory = 2 * np.maximum(
            self._memory_s(product, used), self._compute_s(m * size * self._ops * keys, used)
        )
        seconds: Floats = memory + self._memory_s(2 * m * self._ops * keys, used)
        return seconds

    def _chunk_s(self, rows: int, keys: int, used: float) -> float:
        """One request's chunk of `rows` tokens over `keys` of them."""
        m, size = rows * self._queries, self._size
        seconds = 0.0
        for k, n in ((size, keys), (keys, size)):
            whole = self._level.plan(m, k, n, attention=True).off_chip_bytes * self._ops
            seconds += max(self._level.limits_s(2 * m * n * k * self._ops, Plan(used, whole)))
        return seconds + float(self._memory_s(2 * m * keys * self._ops, used))

    def _memory_s(self, elements: Int64s | float, used: float) -> Floats:
        gpu = self._gpu
        return np.asarray(elements) * bytes_of(1) / (gpu.memory_bytes_per_s * gpu.memory_efficiency * used)

    def _compute_s(self, pairs: Int64s | float, used: float) -> Floats:
        gpu = self._gpu
        return np.asarray(pairs) * 2 / (gpu.compute_flops * gpu.compute_efficiency * used)

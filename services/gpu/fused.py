"""Attention at level `calibrated` where it was measured: one fused kernel, by its thread blocks on the SMs.

A thread block ("CTA") takes query rows of one head past tiles of 128 keys. Prefill of n tokens has a CTA for
every tile of query rows; in decode the queries of a KV head share one, and its keys are split over several
CTAs until the SMs are busy, whose results a second kernel combines:

    decode    splits  = SMs * slots / (requests * KV heads), from 1 to the longest request's key tiles
              CTA     = cta_us + block_us * key tiles / splits
              compute = waves of CTAs over the SMs, the last one part full; not below the longest CTA
              time    = launch + join(compute, bytes / bandwidth) + (combine_us + splits * split_us if split)
    prefill   even    = all tiles' multiplications / FLOPs + CTAs / SMs * cta_us
              chain   = cta_us + block_us * key tiles of the longest row of tiles
              time    = launch + join(join(even, chain), bytes / bandwidth)

`join` is that of `calibrated.py`; block_us is for heads of 128 and grows with their size. What a library does
is in `KERNELS`: its tiles, whether it splits where every KV head has one query head, packs the query heads of
a KV head into a tile of prefill, or regroups queries around a decode (two more kernels). Requests of several
lengths: waves by their mean, the longest CTA by the longest. Keys and values come from memory: between two
reads of a layer's, a pass has read all other layers'. A chunk after earlier tokens is a prefill whose tiles
walk those as well (assumed: only whole prompts were measured); a pass's chunks share one kernel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from l3sim.services.gpu.attention import Attention
from l3sim.services.gpu.calibrated import join
from l3sim.services.gpu.kernels import Spent
from l3sim.specs.config import GpuConfig, MeasuredGpuConfig
from l3sim.specs.model import ELEMENT_BYTES
from l3sim.units import Floats, Int64s
from l3sim.work import Chunk

#: Keys of a tile, and rows of a decode's tile, in all of these libraries.
TILE_KEYS = 128
DECODE_ROWS = 64
#: Splits of a request at most (FlashAttention's bound).
MOST_SPLITS = 128


@dataclass(frozen=True, slots=True)
class Library:
    """What an attention library does, from its source.

    Attributes:
        rows: query rows of a prefill's tile.
        slots: CTAs of an SM that splitting aims at.
        splits_all: it splits keys where every KV head has one query head, too.
        packs: a prefill's tile may hold several query heads of a KV head.
        regroups: queries of several KV heads are copied into groups before a decode, and back.
    """

    rows: int
    slots: int
    splits_all: bool
    packs: bool
    regroups: bool


#: FlashAttention 2 and 3 as vLLM builds them, with paged KV; FlashInfer's kernels from TensorRT-LLM.
KERNELS: Mapping[str, Library] = {
    "flash2": Library(64, 2, splits_all=False, packs=False, regroups=True),
    "flash3": Library(64, 1, splits_all=True, packs=True, regroups=False),
    "trtllm": Library(128, 1, splits_all=True, packs=False, regroups=False),
}


@dataclass(frozen=True)
class Heads:
    """One GPU's share of a model's heads; arrays in fits."""

    query: Any
    kv: Any
    size: int


def decode_s(
    gpu: MeasuredGpuConfig, heads: Heads, requests: Any, longest: Any, keys: Any, cached: Any = False
) -> Floats:
    """Seconds of decode attention of one layer; numbers, or arrays of one shape.

    Args:
        requests: decoding, each with one query token.
        longest, keys: tokens with keys of the longest request, and of all together, new ones included.
        cached: keys and values are in the cache, as in a measurement's loop; never so in a pass.
    """
    library = KERNELS[gpu.attention_kernel]
    group = np.asarray(heads.query / heads.kv)
    lanes = requests * heads.kv * np.ceil(group / DECODE_ROWS)
    tiles = np.maximum(np.asarray(longest, dtype=np.float64) / TILE_KEYS, 1)
    room = np.floor(library.slots * gpu.sms / lanes)
    if gpu.decode_most_splits is not None:
        room = np.minimum(room, np.floor(gpu.decode_most_splits / requests))
    room = np.where(library.splits_all | (group > 1), np.clip(room, 1, MOST_SPLITS), 1)
    splits = np.minimum(room, tiles)
    block_us = gpu.decode_block_us * heads.size / 128
    longest_us = gpu.decode_cta_us + block_us * tiles / splits
    mean_us = gpu.decode_cta_us + block_us * np.maximum(keys / requests / TILE_KEYS, 1) / splits
    waves = lanes * splits / gpu.sms
    whole, spread = np.ceil(waves), np.maximum(waves, 1)
    compute_s = np.maximum(longest_us, (whole + gpu.decode_tail_share * (spread - whole)) * mean_us) / 1e6
    parts = np.where(splits > 1, 2 * splits, 0)  # of 4 bytes, written and read
    elements = 2 * heads.kv * keys + (2 + 2 * parts) * heads.query * requests
    memory_s = ELEMENT_BYTES * heads.size * elements / (gpu.memory_bytes_per_s * gpu.decode_memory_efficiency)
    work_s = join(compute_s, np.where(cached, 0.0, memory_s), gpu.decode_interference)
    around_us = np.where(splits > 1, gpu.decode_combine_us + gpu.decode_split_us * splits, 0)
    if library.regroups:
        around_us = around_us + np.where(
            (group > 1) & (heads.kv > 1) & (requests > 1), gpu.decode_regroup_us, 0
        )
    return np.asarray(work_s + (gpu.decode_launch_us + around_us) / 1e6)


def prefill_s(
    gpu: MeasuredGpuConfig, heads: Heads, tokens: Floats, finished: Floats, times: Any = 1
) -> Floats:
    """Seconds of prefill attention of one layer: of chunks along the last axis, in one kernel.

    Args:
        tokens, finished: of each chunk; tokens before it.
        times: how often the last axis stands there.
    """
    library = KERNELS[gpu.attention_kernel]
    rows = heads.query * np.ceil(tokens / library.rows)
    if library.packs:
        packed = heads.kv * np.ceil(tokens * (heads.query / heads.kv) / library.rows)
        rows = np.minimum(rows, packed)
    walked = np.maximum((finished + (tokens + TILE_KEYS) / 2) / TILE_KEYS, 1)
    flops = 4 * heads.size * library.rows * TILE_KEYS * (rows * walked).sum(axis=-1) * times
    even_s = flops / (gpu.compute_flops * gpu.prefill_compute_efficiency)
    even_s = even_s + rows.sum(axis=-1) * times / gpu.sms * gpu.prefill_cta_us / 1e6
    longest = np.ceil((tokens + finished) / TILE_KEYS).max(axis=-1)
    chain_s = (gpu.prefill_cta_us + gpu.prefill_block_us * heads.size / 128 * longest) / 1e6
    query, kv = (np.asarray(of)[..., 0] if np.ndim(of) else of for of in (heads.query, heads.kv))
    elements = 2 * query * tokens.sum(axis=-1) + 2 * kv * (tokens + finished).sum(axis=-1)
    bandwidth = gpu.memory_bytes_per_s * gpu.prefill_memory_efficiency
    memory_s = ELEMENT_BYTES * heads.size * elements * times / bandwidth
    work_s = join(join(even_s, chain_s, gpu.prefill_chain_share), memory_s, gpu.prefill_interference)
    return np.asarray(work_s + gpu.prefill_launch_us / 1e6)


class AttentionCosts(Protocol):
    """Attention on one GPU of a group, of one layer."""

    @property
    def overhead_s(self) -> float:
        """Launch of a decode, which `decode_s` includes."""

    def prefill(self, chunks: Sequence[Chunk]) -> Spent:
        """Causal attention of prefill chunks, the tokens before them included."""

    def decode(self, context: Int64s) -> Spent:
        """One token of each decoding request, which hold so many tokens before it."""

    def decode_s(self, context: Int64s, rounds: int) -> Floats:
        """Seconds of `decode` in successive rounds, each with one token more of every request."""


class Fused:
    """See AttentionCosts."""

    def __init__(self, gpu: MeasuredGpuConfig, heads: Heads) -> None:
        self._gpu = gpu
        self._heads = heads

    @property
    def overhead_s(self) -> float:
        """See AttentionCosts."""
        return self._gpu.decode_launch_us / 1e6

    def prefill(self, chunks: Sequence[Chunk]) -> Spent:
        """See AttentionCosts. Chunks of one token each are decoded, as engines do."""
        if all(chunk.tokens == 1 for chunk in chunks):
            return self.decode(np.array([chunk.finished_tokens for chunk in chunks], dtype=np.int64))
        tokens, finished = (
            np.array([getattr(chunk, name) for chunk in chunks], dtype=np.float64)
            for name in ("tokens", "finished_tokens")
        )
        launch_s = self._gpu.prefill_launch_us / 1e6
        seconds = float(prefill_s(self._gpu, self._heads, tokens, finished))
        return Spent("attention", seconds - launch_s, launch_s)

    def decode(self, context: Int64s) -> Spent:
        """See AttentionCosts."""
        return Spent("attention", float(self.decode_s(context, 1)[0]) - self.overhead_s, self.overhead_s)

    def decode_s(self, context: Int64s, rounds: int) -> Floats:
        """See AttentionCosts."""
        step = np.arange(1, rounds + 1, dtype=np.int64)
        requests = len(context)
        keys = int(context.sum()) + requests * step
        return decode_s(self._gpu, self._heads, requests, int(context.max()) + step, keys)


def attention_of(gpu: GpuConfig, widths: Mapping[str, int], head_size: int) -> AttentionCosts:
    """Attention as a configuration's level has it."""
    if gpu.level == "calibrated" and isinstance(gpu, MeasuredGpuConfig):
        return Fused(gpu, Heads(widths["attention"] // head_size, widths["kv"] // head_size, head_size))
    return Attention.of(gpu, widths)

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
from functools import lru_cache
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


@dataclass(frozen=True, slots=True)
class Lanes:
    """What a decode's number of requests decides; arrays in fits.

    Attributes:
        waves: of CTAs over the SMs, were no keys split.
        room: splits of a request's keys that fill the SMs, at least 1.
        around_us: launch, and what runs around the kernel whether or not keys are split.
        query_elements: of all requests' queries and outputs.
    """

    waves: Any
    room: Any
    around_us: Any
    query_elements: Any


def lanes_of(gpu: MeasuredGpuConfig, heads: Heads, requests: Any) -> Lanes:
    """Of one GPU's heads and so many decoding requests; numbers, or arrays of one shape."""
    library = KERNELS[gpu.attention_kernel]
    group = np.asarray(heads.query / heads.kv)
    lanes = requests * heads.kv * np.ceil(group / DECODE_ROWS)
    room = np.floor(library.slots * gpu.sms / lanes)
    if gpu.decode_most_splits is not None:
        room = np.minimum(room, np.floor(gpu.decode_most_splits / requests))
    room = np.where(library.splits_all | (group > 1), np.clip(room, 1, MOST_SPLITS), 1)
    copied = library.regroups & (group > 1) & (heads.kv > 1) & (np.asarray(requests) > 1)
    around_us = gpu.decode_launch_us + np.where(copied, gpu.decode_regroup_us, 0.0)
    return Lanes(lanes / gpu.sms, room, around_us, 2 * heads.query * requests)


def decode_s(
    gpu: MeasuredGpuConfig,
    heads: Heads,
    lanes: Lanes,
    longest: Floats,
    mean: Floats,
    keys: Any,
    from_memory: Any = 1.0,
) -> Floats:
    """Seconds of decode attention of one layer; arrays of one shape.

    Args:
        lanes: of as many requests.
        longest, mean, keys: tokens with keys of the longest request, of one on average, and of all together,
            new ones included.
        from_memory: share of the bytes that memory has to deliver: less than 1 in a measurement whose loop
            finds some in the cache, never in a pass.
    """
    tiles = np.maximum(longest / TILE_KEYS, 1)
    splits = np.minimum(lanes.room, tiles)
    block_us = gpu.decode_block_us * heads.size / 128 / splits
    waves = lanes.waves * splits
    tail = gpu.decode_tail_share
    busy = (1 - tail) * np.ceil(waves) + tail * np.maximum(waves, 1)
    mean_us = gpu.decode_cta_us + block_us * np.maximum(mean / TILE_KEYS, 1)
    compute_us = np.maximum(gpu.decode_cta_us + block_us * tiles, busy * mean_us)
    split = splits > 1
    # Partial results have 4 bytes an element, are written and read.
    bandwidth = gpu.memory_bytes_per_s * gpu.decode_memory_efficiency
    element_us = from_memory * (ELEMENT_BYTES * heads.size / bandwidth * 1e6)
    memory_us = keys * (2 * heads.kv * element_us) + lanes.query_elements * element_us * (
        1 + split * (2 * splits)
    )
    work_us = join(compute_us, memory_us, gpu.decode_interference)
    combine_us = split * (gpu.decode_combine_us + gpu.decode_split_us * splits)
    return np.asarray((work_us + combine_us + lanes.around_us) / 1e6)


def prefill_s(
    gpu: MeasuredGpuConfig,
    heads: Heads,
    tokens: Floats,
    finished: Floats,
    times: Any = 1,
    from_memory: Any = 1.0,
) -> Floats:
    """Seconds of prefill attention of one layer: of chunks along the last axis, in one kernel.

    Args:
        tokens, finished: of each chunk; tokens before it.
        times: how often the last axis stands there.
        from_memory: as in `decode_s`.
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
    memory_s = from_memory * (ELEMENT_BYTES * heads.size * elements * times / bandwidth)
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
        self._lanes = lru_cache(maxsize=4096)(self._lanes_of)

    @property
    def overhead_s(self) -> float:
        """See AttentionCosts."""
        return self._gpu.decode_launch_us / 1e6

    def _lanes_of(self, requests: int) -> Lanes:
        """Plain numbers, which numpy takes faster than arrays without a dimension."""
        found = lanes_of(self._gpu, self._heads, requests)
        return Lanes(*(float(getattr(found, name)) for name in Lanes.__slots__))

    def prefill(self, chunks: Sequence[Chunk]) -> Spent:
        """See AttentionCosts. Chunks of one token each are decoded, as engines do, where that is faster."""
        tokens, finished = (
            np.array([getattr(chunk, name) for chunk in chunks], dtype=np.float64)
            for name in ("tokens", "finished_tokens")
        )
        launch_s = self._gpu.prefill_launch_us / 1e6
        seconds = float(prefill_s(self._gpu, self._heads, tokens, finished))
        spent = Spent("attention", seconds - launch_s, launch_s)
        if tokens.max() > 1:
            return spent
        return min(spent, self.decode(finished.astype(np.int64)), key=lambda either: either.seconds)

    def decode(self, context: Int64s) -> Spent:
        """See AttentionCosts."""
        return Spent("attention", float(self.decode_s(context, 1)[0]) - self.overhead_s, self.overhead_s)

    def decode_s(self, context: Int64s, rounds: int) -> Floats:
        """See AttentionCosts."""
        requests, step = len(context), np.arange(1.0, rounds + 1)
        longest, whole = float(context.max()), float(context.sum())
        mean = whole / requests + step
        lanes = self._lanes(requests)
        return decode_s(self._gpu, self._heads, lanes, longest + step, mean, mean * requests)


def attention_of(gpu: GpuConfig, widths: Mapping[str, int], head_size: int) -> AttentionCosts:
    """Attention as a configuration's level has it."""
    if gpu.level == "calibrated" and isinstance(gpu, MeasuredGpuConfig):
        return Fused(gpu, Heads(widths["attention"] // head_size, widths["kv"] // head_size, head_size))
    return Attention.of(gpu, widths)

"""What modules and the link hear of a window where GPUs attend beside them: nothing of requests there.

The GPUs hear the whole window. A module that knows ranks only needs to know no more than that: requests whose
KV is in GPU memory are neither placed, nor decoded, nor released there, and nothing of them crosses the link.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from l3sim.units import Int64s
from l3sim.work import Chunk, SubBatch, Window

#: Which of some requests have their KV in GPU memory: shape (n,) to (n,).
OnGpus = Callable[[Int64s], np.ndarray]


def for_modules(
    window: Window, on_gpus: OnGpus, releases: Iterable[int], moves: tuple[Chunk, ...] = ()
) -> Window:
    """A window without what the GPUs do alone; it may have no sub-batch left.

    Args:
        releases: requests whose KV went from modules.
        moves: KV that comes from GPU memory, whose requests `places` has: a chunk of the first sub-batch.
    """
    first = window.sub_batches[0].index
    parts = [_part(batch, on_gpus, moves if batch.index == first else ()) for batch in window.sub_batches]
    return replace(
        window,
        sub_batches=tuple(part for part in parts if part.requests),
        places=tuple(
            replace(placed, held=0)
            for placed, there in zip(window.places, on_gpus(_rows(window.places)), strict=True)
            if not there
        ),
        releases=tuple(releases),
    )


def _part(batch: SubBatch, on_gpus: OnGpus, moves: tuple[Chunk, ...]) -> SubBatch:
    decode = ~on_gpus(batch.decode)
    there = on_gpus(_rows(batch.chunks))
    chunks = tuple(chunk for chunk, gone in zip(batch.chunks, there, strict=True) if not gone)
    return SubBatch(batch.index, batch.decode[decode], batch.context[decode], chunks + moves)


def _rows(items: Iterable[object]) -> Int64s:
    return np.array([item.request for item in items], dtype=np.int64)  # type: ignore[attr-defined]

"""What modules and the link hear of a window where GPUs attend beside them: nothing of requests there.

The GPUs hear the whole window. A module that knows ranks only needs to know no more than that: requests whose
KV is in GPU memory are neither placed, nor decoded, nor released there, and nothing of them crosses the link.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from l3sim.orchestrator.engine.kv.in_flight import KvInFlight
from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.orchestrator.engine.membership import Pending
from l3sim.orchestrator.engine.timeline.base import Outcome
from l3sim.placement import Layout
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


def heard_by_modules(window: Window, kv: KvLedger, pending: Pending) -> Window:
    """A replica's next window as modules hear it.

    Args:
        pending: what the window tells of comings and goings.
    """
    if kv.shape.layout.gpu_place is None:
        return window
    left = (request for request, on_gpus in pending.releases if not on_gpus)
    return for_modules(window, kv.on_gpus, left, pending.moves)


def alone_for_modules(window: Window, layout: Layout) -> Window:
    """The same of a window that stands alone, with a placement for each of its requests."""
    if layout.gpu_place is None:
        return window
    there = np.array([placed.request for placed in window.places if placed.offset == layout.ranksets])
    return for_modules(window, lambda requests: np.isin(requests, there), ())


def arrive(modules: Window, outcome: Outcome, kv: KvLedger, in_flight: KvInFlight, memory: GpuMemory) -> None:
    """KV that moved is on its way down: what decodes waits for it, and the GPUs keep it until then."""
    if not kv.arriving:
        return
    for batch in modules.sub_batches:
        moved = tuple(chunk for chunk in batch.chunks if chunk.request in kv.arriving)
        number = outcome.batches[batch.index]
        if moved:
            in_flight.add(number, moved)
        for chunk in moved:
            memory.add_batch(chunk.request, number)
            memory.close(chunk.request)
    kv.arrived()


def _part(batch: SubBatch, on_gpus: OnGpus, moves: tuple[Chunk, ...]) -> SubBatch:
    decode = ~on_gpus(batch.decode)
    there = on_gpus(_rows(batch.chunks))
    chunks = tuple(chunk for chunk, gone in zip(batch.chunks, there, strict=True) if not gone)
    return SubBatch(batch.index, batch.decode[decode], batch.context[decode], chunks + moves)


def _rows(items: Iterable[object]) -> Int64s:
    return np.array([item.request for item in items], dtype=np.int64)  # type: ignore[attr-defined]

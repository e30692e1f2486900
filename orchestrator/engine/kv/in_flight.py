"""Prefill KV on its way down: which decoding requests still wait for which batch of K tasks."""

from dataclasses import dataclass

import numpy as np

from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.engine.timeline.base import Timeline, Waits
from l3sim.units import Int64s
from l3sim.work import Chunk, SubBatch


@dataclass(frozen=True, slots=True)
class _Batch:
    number: int
    requests: Int64s
    admissions: Int64s


class KvInFlight:
    """The batches of one replica that have not all arrived."""

    def __init__(self, timeline: Timeline, table: RequestTable, ranksets: int) -> None:
        self._timeline, self._table, self._ranksets = timeline, table, ranksets
        self._batches: list[_Batch] = []

    def add(self, number: int, chunks: tuple[Chunk, ...]) -> None:
        """Note the batch that carries these chunks' KV."""
        requests = np.array([chunk.request for chunk in chunks], dtype=np.int64)
        requests = requests[self._table.offset[requests] < self._ranksets]  # the GPUs keep the others' KV
        self._batches.append(_Batch(number, requests, self._table.admission[requests]))

    def waits(self, sub_batches: tuple[SubBatch, ...]) -> list[Waits]:
        """What the decoding requests of these sub-batches wait for.

        A request waits for its KV since its last admission only.
        """
        self._batches = [batch for batch in self._batches if self._timeline.batch_end_ps(batch.number) < 0]
        found = []
        for batch in self._batches:
            current = batch.requests[self._table.admission[batch.requests] == batch.admissions]
            passes = np.zeros((2, self._ranksets), dtype=np.bool_)
            for sub_batch in sub_batches:
                waiting = current[np.isin(current, sub_batch.decode)]
                passes[sub_batch.index, self._table.offset[waiting]] = True
            if passes.any():
                found.append(Waits(batch.number, passes))
        return found

"""What a policy sees, made by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.orchestrator.engine.policies.base import PlanView
from l3sim.orchestrator.engine.prediction.predictor import Tables
from l3sim.orchestrator.engine.queue import Queue
from l3sim.orchestrator.engine.requests import Phase
from l3sim.placement import Layout
from l3sim.specs.config import SchedulerConfig
from l3sim.testing.builders import small_layout, small_model
from l3sim.work import Chunk, KvPlacement
from tests.orchestrator.engine.kv.test_ledger import table_of

OPTIONS: dict[str, Any] = {
    "max_chunk_tokens": 256,
    "min_chunk_tokens": 64,
    "admit_watermark": 0.0,
    "horizon": 64,
    "selection": "aligned",
    "admission": "memory",
}


@dataclass(frozen=True)
class Resident:
    """A request with KV: decoding when all of the prompt is held."""

    prompt: int
    held: int
    place: tuple[int, int] = (0, 0)
    planned: int = -1


def view_of(
    residents: Sequence[Resident] = (),
    waiting: Sequence[int] = (),
    room_tokens: int = 100_000,
    gpu_tokens: int = 100_000,
    barred: Sequence[int] = (),
    layout: Layout | None = None,
    beside_tokens: int = 0,
    **options: Any,
) -> PlanView:
    """Residents are numbered in order of admission, then come the prompts that wait.

    Rooms are in tokens: of a rank, those of a request that lies on it; of the GPU, whole prompts, and where
    it attends beside ranks, what stays there.
    """
    layout, model = layout or small_layout(), small_model()
    prompts = [resident.prompt for resident in residents] + list(waiting)
    table = table_of(prompts, [1000] * len(prompts))
    config = SchedulerConfig(**(OPTIONS | options))
    room = room_tokens * int(layout.pieces(model.layers).max()) * layout.block_bytes(model)
    rooms = np.full(layout.ranksets * layout.ranks, room, dtype=np.int64)
    if layout.gpu_place is not None:
        rooms = np.append(rooms, beside_tokens * model.kv_bytes_per_token)
    shape = KvShape.of(layout, model, rooms)
    ledger = KvLedger(shape, table, config.admit_watermark)
    memory = GpuMemory(gpu_tokens * model.kv_bytes_per_token, model.kv_bytes_per_token, model.layer_kv_bytes)
    for request, resident in enumerate(residents):
        ledger.admit(KvPlacement(request, *resident.place))
        table.planned[request] = resident.planned
        decodes = resident.held >= resident.prompt
        ledger.prefill(Chunk(request, resident.held, 0, last=decodes))
        if not decodes:
            memory.book(request, resident.prompt)
    queue = Queue(table, aging_ps=10**13)
    queue.arrive(list(range(len(residents), len(prompts))))
    for request in barred:
        queue.admitted(request)
        queue.come_back(request)
    rows = np.arange(len(residents))
    decoding = table.phase[: len(residents)] == Phase.DECODE
    return PlanView(
        table=table,
        decoding=rows[decoding],
        prefilling=rows[~decoding].tolist(),
        queue=queue,
        barred=frozenset(barred),
        kv=ledger.view(),
        gpu=memory,
        options=config,
        layout=layout,
    )


def predictor_of(
    fc: tuple[float, float] = (0.0, 1.0),
    chunk_ps: float = 0.0,
    token_ps: float = 1.0,
    comm: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    layout: Layout | None = None,
) -> Tables:
    """Lines: fc = a + b * tokens, prefill and attention so much a token."""
    layout = layout or small_layout()
    grid = np.array([0.0, 1.0])
    return Tables(
        fc_grid=grid,
        fc_ps=np.array([fc[0], fc[0] + fc[1]]),
        chunk_grid=grid,
        finished_grid=np.array([0.0]),
        chunk_ps=np.array([[0.0], [chunk_ps]]),
        context_grid=grid,
        group_ps=np.array([0.0, token_ps]),
        pace=np.ones((layout.ranksets, layout.ranks)),
        comm=np.array(comm, dtype=np.float64),
    )


def shown(chunks: Sequence[Sequence[Chunk]]) -> list[list[tuple[int, int, int, bool]]]:
    """Chunks by pass as (request, tokens, finished, last)."""
    return [[(one.request, one.tokens, one.finished_tokens, one.last) for one in some] for some in chunks]


def requests_of(decode: np.ndarray) -> list[int]:
    """Request numbers, in order."""
    return [int(one) for one in decode]

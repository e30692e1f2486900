"""Small, valid objects with room for what a test cares about."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from l3sim import PROTOCOL_VERSION
from l3sim.placement import Layout
from l3sim.specs.model import ModelShape
from l3sim.work import Chunk, Commit, Hello, KvPlacement, RankAssignment, SlotAssignment, SubBatch, Window


def small_model(**changes: Any) -> ModelShape:
    """Four layers, four heads of which two share KV; a token's KV is 512 bytes."""
    shape: dict[str, Any] = {
        "name": "small",
        "layers": 4,
        "heads": 4,
        "kv_heads": 2,
        "head_size": 16,
        "hidden": 64,
        "ffn": 128,
        "gated": True,
        "vocabulary": 1000,
        "tied_embeddings": False,
        "learned_positions": 0,
        "biases": False,
        "default_tp": 1,
        "source": "made for tests",
    }
    return ModelShape(**(shape | changes))


def small_layout(**changes: Any) -> Layout:
    """One replica of two ranksets of two ranks; a request has two head groups a layer."""
    sizes: dict[str, Any] = {
        "tp": 1,
        "dp": 1,
        "ranksets": 2,
        "ranks": 2,
        "heads_per_group": 1,
        "groups": 2,
        "chips_per_head": 2,
        "queries_per_read": 2,
    }
    return Layout(**(sizes | changes))


def small_hello(
    devices: Sequence[str] = ("fake-0",),
    slots: Sequence[str] = ("dimm-00",),
    config: dict[str, Any] | None = None,
    **changes: Any,
) -> Hello:
    """Devices in slots; device i sits on rank i of every rankset."""
    layout = changes.pop("layout", None) or small_layout(ranks=max(2, len(devices)))
    assignments = tuple(
        SlotAssignment(
            device, slot, dict(config or {}), tuple(RankAssignment(0, j, i) for j in range(layout.ranksets))
        )
        for i, (device, slot) in enumerate(zip(devices, slots, strict=True))
    )
    values: dict[str, Any] = {
        "protocol_version": PROTOCOL_VERSION,
        "job_id": "job-000001",
        "seed": 7,
        "model": small_model(),
        "layout": layout,
        "slots": assignments,
    }
    return Hello(**(values | changes))


def small_window(
    window_id: int = 1,
    decode: Sequence[int] = (),
    context: Sequence[int] = (),
    chunks: Sequence[Chunk] = (),
    places: Sequence[KvPlacement] = (),
    releases: Sequence[int] = (),
    commits: Sequence[Commit] = (),
    rounds: int = 1,
    replica: int = 0,
) -> Window:
    """A window of one sub-batch."""
    batch = SubBatch(
        0, np.array(decode, dtype=np.int64), np.array(context, dtype=np.int64), chunks=tuple(chunks)
    )
    return Window(window_id, replica, rounds, (batch,), tuple(places), tuple(releases), tuple(commits))

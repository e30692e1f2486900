"""The report's account of memory: what KV took, what was lost in blocks, what was shared, who carried it."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from l3sim.orchestrator.engine.replica import Replica
from l3sim.units import PS_PER_S


def kv_report(replicas: Sequence[Replica]) -> dict[str, Any]:
    """The section `kv`."""
    shape = replicas[0].kv.shape
    block_ps = sum(replica.occupancy.block_ps for replica in replicas)
    token_ps = sum(int(replica.occupancy.place_ps.sum()) for replica in replicas)
    tokens = shape.layout.kv_block_tokens
    return {
        "capacity_bytes": sum(int(replica.kv.shape.room_bytes.sum()) for replica in replicas),
        "peak_bytes": sum(replica.kv.peak_bytes for replica in replicas),
        "block_tokens": tokens,
        "block_bytes": shape.piece_bytes,
        "fragmentation": 1 - token_ps / (block_ps * tokens),
        "prefix": _prefix(replicas, tokens),
    }


def _prefix(replicas: Sequence[Replica], tokens: int) -> dict[str, Any]:
    sharing = [replica.kv.sharing for replica in replicas]
    asked = sum(one.asked_blocks for one in sharing) * tokens
    hits = sum(one.hit_blocks for one in sharing) * tokens
    return {
        "asked_tokens": asked,
        "hit_tokens": hits,
        "hit_rate": hits / asked if asked else None,
        "saved_peak_bytes": sum(one.saved_peak_bytes for one in sharing),
    }


def balance_report(replicas: Sequence[Replica]) -> dict[str, Any]:
    """The section `balance`: tokens held and time attended by rank, the most of a rank against the mean."""
    ranks = [rank for replica in replicas for rank in _ranks(replica)]
    return {
        "tokens": _spread([rank["tokens"] for rank in ranks]),
        "attention_s": _spread([rank["attention_s"] for rank in ranks]),
        "ranks": [
            {**rank, "tokens": float(rank["tokens"]), "attention_s": float(rank["attention_s"])}
            for rank in ranks
        ],
    }


def _ranks(replica: Replica) -> list[dict[str, Any]]:
    """Exact figures of each rank of a replica."""
    shape, lasted = replica.kv.shape, replica.metrics.iteration_ps
    count = len(shape.room_bytes)
    # Objects: tokens x picoseconds leave 64 bits.
    tokens = replica.occupancy.place_ps @ shape.pieces.astype(np.object_)
    # A replica that no request belongs to has run no round.
    attended = np.zeros(count, dtype=np.int64) if replica.metrics.rank_ps is None else replica.metrics.rank_ps
    return [
        {
            "replica": replica.index,
            "rankset": flat // shape.layout.ranks,
            "rank": flat % shape.layout.ranks,
            "tokens": Fraction(int(tokens[flat]), max(lasted, 1)),
            "attention_s": Fraction(int(attended[flat]), PS_PER_S),
        }
        for flat in range(count)
    ]


def _spread(values: Sequence[Fraction]) -> dict[str, float | None]:
    """Mean, most, and the most against the mean; null where the mean is 0."""
    mean, most = sum(values) / Fraction(len(values)), max(values)
    return {"mean": float(mean), "max": float(most), "max_to_mean": float(most / mean) if mean else None}

"""The report's account of memory: what KV took, what was lost in blocks, what was shared, who carried it."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from l3sim.orchestrator.engine.replica import Replica
from l3sim.reports.sections import Balance, Kv, Prefix, Rank, Spread
from l3sim.specs.model import ModelShape
from l3sim.units import PS_PER_S


def kv_report(replicas: Sequence[Replica], model: ModelShape) -> Kv:
    """The section `kv`."""
    shape = replicas[0].kv.shape
    block_ps = sum(replica.occupancy.block_ps for replica in replicas)
    token_ps = sum(int(replica.occupancy.place_ps.sum()) for replica in replicas)
    tokens = shape.layout.kv_block_tokens
    return Kv(
        capacity_bytes=sum(int(replica.kv.shape.room_bytes.sum()) for replica in replicas),
        peak_bytes=sum(replica.kv.peak_bytes for replica in replicas),
        block_tokens=tokens,
        block_bytes=shape.piece_bytes,
        fragmentation=_empty(
            token_ps * model.layer_kv_bytes, block_ps * shape.layout.groups * shape.piece_bytes
        ),
        prefix=_prefix(replicas, tokens),
    )


def _empty(used: int, taken: int) -> float:
    """Share of blocks that nothing fills, by bytes: some have room for heads that the model has not."""
    return 1 - used / taken if taken else 0.0


def _prefix(replicas: Sequence[Replica], tokens: int) -> Prefix:
    sharing = [replica.kv.sharing for replica in replicas]
    asked = sum(one.asked_blocks for one in sharing) * tokens
    hits = sum(one.hit_blocks for one in sharing) * tokens
    return Prefix(
        asked_tokens=asked,
        hit_tokens=hits,
        hit_rate=hits / asked if asked else None,
        saved_peak_bytes=sum(one.saved_peak_bytes for one in sharing),
    )


def balance_report(replicas: Sequence[Replica]) -> Balance:
    """The section `balance`: tokens held and time attended by rank, the most of a rank against the mean."""
    ranks = [rank for replica in replicas for rank in _ranks(replica)]
    return Balance(
        tokens=_spread([rank.tokens for rank in ranks]),
        attention_s=_spread([rank.attention_s for rank in ranks]),
        ranks=[
            Rank(rank.replica, rank.rankset, rank.rank, float(rank.tokens), float(rank.attention_s))
            for rank in ranks
        ],
    )


class _Carried(NamedTuple):
    """Exact figures of one rank."""

    replica: int
    rankset: int
    rank: int
    tokens: Fraction
    attention_s: Fraction


def _ranks(replica: Replica) -> list[_Carried]:
    """What each rank of a replica carried."""
    shape, lasted = replica.kv.shape, replica.metrics.iteration_ps
    count = len(shape.rank_room_bytes)
    # Objects: tokens x picoseconds leave 64 bits.
    tokens = replica.occupancy.place_ps @ shape.pieces[:count, :count].astype(np.object_)
    # A replica that no request belongs to has run no round.
    attended = np.zeros(count, dtype=np.int64) if replica.metrics.rank_ps is None else replica.metrics.rank_ps
    return [
        _Carried(
            replica=replica.index,
            rankset=flat // shape.layout.ranks,
            rank=flat % shape.layout.ranks,
            tokens=Fraction(int(tokens[flat]), max(lasted, 1)),
            attention_s=Fraction(int(attended[flat]), PS_PER_S),
        )
        for flat in range(count)
    ]


def _spread(values: Sequence[Fraction]) -> Spread:
    """Mean, most, and the most against the mean; null where the mean is 0."""
    mean, most = sum(values) / Fraction(len(values)), max(values)
    return Spread(float(mean), float(most), float(most / mean) if mean else None)

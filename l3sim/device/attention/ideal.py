"""Level `ideal` of attention modules: the whole bandwidth of a replica's modules, evenly used.

    time = KV bytes that a sub-batch's requests have in a layer / bandwidth of all ranks of the replica

on every rank, or in proportion longer where only some ranksets hold any of a layer: no rank waits for
another, no command and no transfer inside a module takes time, and KV is read once for all query heads of a
KV head. Publications assume it that give accelerators their whole bandwidth. KV still takes its place
on ranks, as at other levels, and the link still moves what it moves.
"""

from itertools import pairwise

import numpy as np

from l3sim.device.attention.levels import LevelModel
from l3sim.device.attention.rank_sums import Decoding, RankSums
from l3sim.errors import InvalidInput
from l3sim.placement import Layout
from l3sim.specs.attention import AttentionSection
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s, nj, ps


class IdealModel(LevelModel[Int64s]):
    """Ranks that share all work evenly.

    Args:
        layer_bytes: K and V of one token in one layer.
        bytes_per_s: of all ranks of a replica.
        active_w: of one rank, or module, while it attends.
    """

    def __init__(self, layer_bytes: int, bytes_per_s: float, active_w: float, layout: Layout) -> None:
        self._token_s = layer_bytes / bytes_per_s
        self._active_w = active_w
        self._ranksets, self._bins = layout.ranksets, layout.ranksets * layout.ranks

    def look_up(self, requests: Decoding) -> Int64s:
        """See LevelModel. Picoseconds of each sub-batch, shape (sub-batches, rounds)."""
        edges = requests.bounds[:: self._bins]
        sums = [requests.tokens[first:last].sum(axis=0) for first, last in pairwise(edges)]
        tokens = np.array(sums)
        return ps(tokens * self._token_s) * (tokens > 0)

    def cost(self, looked_up: Int64s, requests: Decoding, sums: RankSums) -> tuple[Int64s, Int64s]:
        """See LevelModel. A rankset to which nothing crosses does nothing: the others do its share."""
        batches, ranksets, ranks = sums.shape(requests.bounds)
        held = np.diff(requests.bounds).reshape(batches, ranksets, -1).sum(axis=2) > 0
        share = -(-looked_up * ranksets // np.maximum(held.sum(axis=1), 1)[:, None])
        each = share[:, None, None, :] * held[:, :, None, None]
        time: Int64s = np.repeat(each, ranks, axis=2)
        return time, nj(self._active_w, time)


def ideal_model(section: AttentionSection, model: ModelShape, layout: Layout, active_w: float) -> IdealModel:
    """The model of modules at level `ideal`.

    Raises:
        InvalidInput: the kind does not say its bandwidth.
    """
    whole = section.kv_bytes_per_s
    if whole is None:
        raise InvalidInput(("level", "ideal needs the kind's bandwidth, which it does not say; use another"))
    return IdealModel(model.layer_kv_bytes, whole / layout.dp, active_w, layout)

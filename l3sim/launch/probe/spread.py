"""Which rank gets how many head groups, when equal requests come one by one to an empty machine.

The rule is the engine's (docs/policies.md): request i belongs to replica i mod DP, and goes to the pair
(rankset offset, first rank) where it fits and where the fullest bin that it adds to stays least full; ties go
to the lowest. Requests are equal here, so bins are counted in head groups; where KV is striped, in tokens of
them on each rank.
"""

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.placement import Layout, kv_room_bytes
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s


def spread(machine: Machine, model: ModelShape, layout: Layout, requests: int, tokens: int) -> Int64s:
    """Head groups of one layer on each rank, by how far that is from their first one.

    Every layer has the same ones, each on the next rankset. Where KV is striped a head group counts on every
    rank that has some of its tokens, `layout.step_tokens` says how many; else all of it is on its first.

    Args:
        tokens: of each request, those whose KV lies in the modules when it is attended.

    Returns: shape (replicas, ranksets, ranks, steps).

    Raises:
        InvalidInput: they do not all fit.
    """
    room = kv_room_bytes(machine.attention, layout, model)
    most = -(-requests // layout.dp)
    places = places_of(layout, model, room, most, tokens)
    if len(places) < most:
        text = f"{requests} requests of {tokens} tokens do not fit the memory of {machine.name}"
        remedy = "lower --batch or --context" if places else "lower --context"
        raise InvalidInput(("--context", f"{text}, which holds {len(places) * layout.dp}; {remedy}"))
    steps = np.flatnonzero(layout.step_tokens(np.array(tokens))).tolist()
    groups = np.zeros((layout.dp, layout.ranksets, layout.ranks, layout.steps), dtype=np.int64)
    for replica in range(layout.dp):
        for offset, first in places[: len(range(replica, requests, layout.dp))]:
            for step in steps:
                groups[replica, offset, :, step] += layout.group_counts[(first + step) % layout.ranks]
    return groups


def places_of(
    layout: Layout, model: ModelShape, room_bytes: int, requests: int, tokens: int
) -> list[tuple[int, int]]:
    """(offset, first rank) of equal requests in one replica, in order, until one fits nowhere.

    Args:
        room_bytes: of each rank.
    """
    size = layout.ranksets * layout.ranks
    blocks = layout.step_blocks(layout.blocks(np.array(tokens)))
    at = np.arange(size)[:, None]
    own = at % layout.ranks
    there = at - own + (own + np.arange(layout.steps)) % layout.ranks
    added = np.einsum("q,pqr->pr", blocks, layout.pieces(model.layers)[there]) * layout.block_bytes(model)
    counts = np.einsum("q,bqr->br", layout.step_tokens(np.array(tokens)), _on_ranks(layout))
    bins = np.zeros((layout.ranksets, layout.ranks), dtype=np.int64)
    held = np.zeros(size, dtype=np.int64)
    places: list[tuple[int, int]] = []
    while len(places) < requests:
        fits = (held[None, :] + added <= room_bytes).all(axis=1)
        if not fits.any():
            break
        after = np.where(counts[None] > 0, bins[:, None, :] + counts[None], 0).max(axis=2)
        best = int(np.argmin(np.where(fits, after.reshape(-1), np.iinfo(np.int64).max)))
        offset, first = divmod(best, layout.ranks)
        places.append((offset, first))
        bins[offset] += counts[first]
        held += added[best]
    return places


def _on_ranks(layout: Layout) -> Int64s:
    """Head groups on each rank of what lies q ranks from a first one: shape (first, q, rank)."""
    ranks = np.arange(layout.ranks)
    counts: Int64s = layout.group_counts[(ranks[:, None] + np.arange(layout.steps)) % layout.ranks]
    return counts

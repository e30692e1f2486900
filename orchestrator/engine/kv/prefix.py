"""Prefix sharing of one replica: requests whose first blocks are the same, and what that spares.

A block is known by its prefix and its number in it: the same text, hence the same KV. Only whole blocks are
shared, and only at one placement, for attention reads KV where it lies (picture: `l3sim.device.blocks`).
"""

from dataclasses import dataclass

import numpy as np

from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.units import Int64s


@dataclass
class PrefixSharing:
    """What is shared, and counts of what it came to.

    Attributes:
        prefix: number of each request's prefix, 0 for none, shape (requests,).
        shareable: whole blocks of it, shape (requests,).
        longest: placements with most shared blocks come before those with the lightest bins.
        asked_blocks: whole prefix blocks of all requests that were admitted.
        hit_blocks: those of them that were on the books already.
        saved_peak_bytes: the most bytes that it spared at a join.
    """

    prefix: Int64s
    shareable: Int64s
    longest: bool
    asked_blocks: int = 0
    hit_blocks: int = 0
    saved_peak_bytes: int = 0

    @classmethod
    def of(cls, table: RequestTable, block_tokens: int, mode: str) -> "PrefixSharing":
        """For requests, by `scheduler.prefix_sharing`: off, balanced or longest."""
        whole = table.prefix_tokens // block_tokens
        shareable = np.zeros_like(whole) if mode == "off" else whole
        return cls(table.prefix, shareable, mode == "longest")

    def __post_init__(self) -> None:
        self.any = bool(self.shareable.any())

    def runs(
        self, requests: Int64s, places: Int64s, amounts: Int64s, shared: Int64s, size: int
    ) -> tuple[Int64s, Int64s, Int64s]:
        """What amounts come to, the first `shared` of each counted once a prefix and placement.

        Sharers hold a prefix from its start, so what they hold of it together is the most that one holds.

        Args:
            requests, places, amounts, shared: shape (n,).
            size: placements.

        Returns: runs, as placement, first and past its last one, each of shape (m,).
        """
        common = np.minimum(amounts, shared)
        keys, where = np.unique(self.prefix[requests] * size + places, return_inverse=True)
        most: Int64s = np.zeros(len(keys), dtype=np.int64)
        np.maximum.at(most, where, common)
        return (
            np.concatenate([places, keys % size]),
            np.concatenate([common, np.zeros_like(most)]),
            np.concatenate([amounts, most]),
        )

    def chain(self, prefix: int, requests: Int64s, places: Int64s, size: int) -> Int64s:
        """Blocks of a prefix that these requests book at each placement: shape (size,)."""
        ours = self.prefix[requests] == prefix
        most: Int64s = np.zeros(size, dtype=np.int64)
        np.maximum.at(most, places[ours], self.shareable[requests[ours]])
        return most

"""A device's own books of KV bytes: blocks that requests have filled, and blocks that they share.

Tokens of a request fill blocks, one after the other; the first of them may be those of a prefix, which all
requests of a replica at one placement keep once:

    prefix P        [ 0 ][ 1 ][ 2 ]          counts 3 2 1: how many requests hold each block
    request a        |    |    |   [ 3 ][ 4
    request b        |    |   [ 2 ][ 3        shares two blocks, goes on with its own
    request c        | (in prefill: its second block is not filled yet)

A shared block takes room when its count leaves 0 and gives it back when it returns to 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.device.ledger import Ledger
from l3sim.rank_map import RankMap
from l3sim.units import Int64s
from l3sim.work import Hello


@dataclass(frozen=True, slots=True)
class _Assigned:
    """The assignments of one replica in this process.

    Attributes:
        index: which of all assignments, shape (assignments,).
        block_bytes: what a block of a request at placement p puts on each, shape (assignments, placements).
    """

    index: Int64s
    block_bytes: Int64s


class Blocks:
    """KV bytes of every assignment of a process, kept as blocks come and go.

    Attributes:
        held_bytes: of each assignment, over all slots in order, shape (assignments,).
    """

    def __init__(self, hello: Hello, ledger: Ledger) -> None:
        layout = hello.layout
        self._ledger, self._tokens = ledger, layout.kv_block_tokens
        self._places = layout.ranksets * layout.ranks
        self._ranks = layout.ranks
        assignments = [assignment for slot in hello.slots for assignment in slot.assignments]
        self.held_bytes: Int64s = np.zeros(len(assignments), dtype=np.int64)
        per_block = layout.pieces(hello.model.layers) * layout.block_bytes(hello.model)
        self._assignments: dict[int, _Assigned] = {}
        for replica in sorted({assignment.replica for assignment in assignments}):
            here = RankMap.of(hello, replica)
            self._assignments[replica] = _Assigned(
                here.index, np.ascontiguousarray(per_block[:, here.ranks].T)
            )
        #: Requests that hold block 0, 1, ... of a prefix, by (replica, placement, prefix).
        self._counts: dict[tuple[int, int, int], list[int]] = {}

    def grow(self, replica: int, requests: Int64s, before: Int64s, after: Int64s) -> None:
        """Requests have come to hold `after` tokens where they held `before`; all shape (n,)."""
        assignments = self._assignments.get(replica)
        if assignments is None:
            return
        places = self._place(requests)
        full, held = -(-after // self._tokens), -(-before // self._tokens)
        more = full - held
        if self._ledger.shares:
            shared = self._ledger.prefix_blocks[requests]
            more = np.maximum(full, shared) - np.maximum(held, shared)
            for one in np.flatnonzero(held < shared).tolist():
                chain = self._chain(replica, int(places[one]), int(requests[one]))
                upto = min(int(full[one]), int(shared[one]))
                more[one] += _enter(chain, range(int(held[one]), upto))
        # bincount adds in float64: blocks stay far below 2**53, so that every sum is exact.
        opened = np.bincount(places, weights=more, minlength=self._places)
        self.held_bytes[assignments.index] += assignments.block_bytes @ opened.astype(np.int64)

    def drop(self, replica: int, request: int, tokens: int) -> None:
        """A request that held so many tokens goes; call before its number is placed anew."""
        assignments = self._assignments.get(replica)
        if assignments is None:
            return
        place = int(self._place(np.array([request]))[0])
        held, shared = -(-tokens // self._tokens), int(self._ledger.prefix_blocks[request])
        freed = held
        if shared:
            chain = self._chain(replica, place, request)
            freed = max(held - shared, 0) + _leave(chain, range(min(held, shared)))
            if not chain:
                del self._counts[replica, place, int(self._ledger.prefix[request])]
        self.held_bytes[assignments.index] -= assignments.block_bytes[:, place] * freed

    def _place(self, requests: Int64s) -> Int64s:
        return self._ledger.offset[requests] * self._ranks + self._ledger.rank[requests]

    def _chain(self, replica: int, place: int, request: int) -> list[int]:
        return self._counts.setdefault((replica, place, int(self._ledger.prefix[request])), [])


def _enter(counts: list[int], blocks: Iterable[int]) -> int:
    """Count one more request on each of these blocks; how many of them no request held."""
    new = 0
    for block in blocks:
        if block == len(counts):
            counts.append(0)
        new += counts[block] == 0
        counts[block] += 1
    return new


def _leave(counts: list[int], blocks: Sequence[int]) -> int:
    """Count one request less on each of these blocks; how many of them no request holds any more."""
    for block in blocks:
        counts[block] -= 1
    freed = 0
    # A request that holds a block holds all before it, so those that none holds stand at the end.
    while counts and counts[-1] == 0:
        counts.pop()
        freed += 1
    return freed

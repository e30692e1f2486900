"""A device's own books of KV bytes: blocks that requests have filled, and blocks that they share.

Tokens of a request fill blocks, one after the other; the first of them may be those of a prefix, which all
requests of a replica at one placement keep once:

    prefix P        [ 0 ][ 1 ][ 2 ]          counts 3 2 1: how many requests hold each block
    request a        |    |    |   [ 3 ][ 4
    request b        |    |   [ 2 ][ 3        shares two blocks, goes on with its own
    request c        | (in prefill: its second block is not filled yet)

A shared block takes room when its count leaves 0 and gives it back when it returns to 0. What comes and goes
is always a run of blocks, so that where KV is striped (`l3sim.placement`) each rank's part of it has a closed
form.
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


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of blocks, `first` to `upto` - 1 of a request at each placement; all shape (n,)."""

    places: Int64s
    first: Int64s
    upto: Int64s

    @classmethod
    def one(cls, place: int, first: int, upto: int) -> "Runs":
        """A single one."""
        return cls(*(np.array([value], dtype=np.int64) for value in (place, first, upto)))

    def and_one(self, place: int, first: int, upto: int) -> "Runs":
        """With one more."""
        more = Runs.one(place, first, upto)
        return Runs(
            np.concatenate([self.places, more.places]),
            np.concatenate([self.first, more.first]),
            np.concatenate([self.upto, more.upto]),
        )


class Blocks:
    """KV bytes of every assignment of a process, kept as blocks come and go.

    Attributes:
        held_bytes: of each assignment, over all slots in order, shape (assignments,).
    """

    def __init__(self, hello: Hello, ledger: Ledger) -> None:
        self._layout = layout = hello.layout
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
        opened = Runs(places, held, full)
        if self._ledger.shares:
            shared = self._ledger.prefix_blocks[requests]
            opened = Runs(places, np.maximum(held, shared), np.maximum(full, shared))
            for one in np.flatnonzero(held < shared).tolist():
                chain = self._chain(replica, int(places[one]), int(requests[one]))
                upto = min(int(full[one]), int(shared[one]))
                known = len(chain)
                _enter(chain, range(int(held[one]), upto))
                opened = opened.and_one(int(places[one]), known, max(known, upto))
        self.held_bytes[assignments.index] += assignments.block_bytes @ self._at(opened)

    def drop(self, replica: int, request: int, tokens: int) -> None:
        """A request that held so many tokens goes; call before its number is placed anew."""
        assignments = self._assignments.get(replica)
        if assignments is None:
            return
        place = int(self._place(np.array([request]))[0])
        held, shared = -(-tokens // self._tokens), int(self._ledger.prefix_blocks[request])
        freed = Runs.one(place, min(held, shared), held)
        if shared:
            chain = self._chain(replica, place, request)
            known = len(chain)
            _leave(chain, range(min(held, shared)))
            freed = freed.and_one(place, len(chain), known)
            if not chain:
                del self._counts[replica, place, int(self._ledger.prefix[request])]
        self.held_bytes[assignments.index] -= assignments.block_bytes @ self._at(freed)

    def _at(self, runs: "Runs") -> Int64s:
        """Blocks of runs by placement: of those that lie q ranks further, that of a request placed there."""
        layout = self._layout
        if not layout.striped:
            # bincount adds in float64: blocks stay far below 2**53, so that every sum is exact.
            count = np.bincount(runs.places, weights=runs.upto - runs.first, minlength=self._places)
            return count.astype(np.int64)
        some = np.flatnonzero(runs.upto > runs.first)
        offset, rank = np.divmod(runs.places[some], layout.ranks)
        dealt = layout.step_blocks(runs.upto[some]) - layout.step_blocks(runs.first[some])
        where = offset[:, None] * layout.ranks + (rank[:, None] + np.arange(layout.ranks)) % layout.ranks
        count = np.bincount(where.ravel(), weights=dealt.ravel(), minlength=self._places)
        return count.astype(np.int64)

    def _place(self, requests: Int64s) -> Int64s:
        return self._ledger.offset[requests] * self._ranks + self._ledger.rank[requests]

    def _chain(self, replica: int, place: int, request: int) -> list[int]:
        return self._counts.setdefault((replica, place, int(self._ledger.prefix[request])), [])


def _enter(counts: list[int], blocks: Iterable[int]) -> None:
    """Count one more request on each of these blocks; those that none held come at the end."""
    for block in blocks:
        if block == len(counts):
            counts.append(0)
        counts[block] += 1


def _leave(counts: list[int], blocks: Sequence[int]) -> None:
    """Count one request less on each of these blocks; those that none holds any more are gone."""
    for block in blocks:
        counts[block] -= 1
    # A request that holds a block holds all before it, so those that none holds stand at the end.
    while counts and counts[-1] == 0:
        counts.pop()

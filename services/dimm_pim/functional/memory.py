"""The bytes of one rank's chips, and which head group owns which of their rows.

A *row block* is the same row of all banks of all chips. It holds K or V of one head group, and nothing else:

    row   0   request 3, layer 0, group 0, K, block 0
          1   request 3, layer 0, group 0, V, block 0
          2   request 7, layer 0, group 0, K, block 0
          3   free
          ...
          n   scratch: what the host writes in between, and what the processor re-lays out
"""

import heapq
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from l3sim.errors import InvariantBroken, OutOfRoom
from l3sim.services.dram.command.geometry import Geometry

Bytes = NDArray[np.uint8]
#: (request, layer, head group)
Key = tuple[int, int, int]
#: Of row blocks: the head group, and "K" or "V".
Owner = tuple[Key, str]

#: What a row holds until it is written: not a number, so that any use of it shows.
UNWRITTEN = 0xFF


class Chips:
    """Bytes by row block; those never written take no space."""

    def __init__(self, at: Geometry) -> None:
        self._shape = (at.chips, at.banks, at.row_columns, at.column_bytes)
        self._rows: dict[int, Bytes] = {}

    def row(self, row: int) -> Bytes:
        """The bytes of a row block, to read and to write, shape (chips, banks, columns, column bytes)."""
        if row not in self._rows:
            self._rows[row] = np.full(self._shape, UNWRITTEN, dtype=np.uint8)
        return self._rows[row]

    def forget(self, row: int) -> None:
        """Drop what a row block holds."""
        self._rows.pop(row, None)

    def __len__(self) -> int:
        """Row blocks that hold something."""
        return len(self._rows)


class RowBlocks:
    """Provisioner out row blocks, the lowest free one first, so that equal histories give equal addresses.

    Args:
        blocks: how many there are.
    """

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self._untouched = 0
        self._freed: list[int] = []
        self._owned: dict[Owner, list[int]] = {}

    @property
    def free(self) -> int:
        """Row blocks without an owner."""
        return self._blocks - self._untouched + len(self._freed)

    def check(self, wanted: Mapping[Owner, int]) -> None:
        """Check that each owner can have at least this many row blocks.

        Raises:
            OutOfRoom: they do not all fit.
        """
        more = sum(max(blocks - len(self._owned.get(owner, ())), 0) for owner, blocks in wanted.items())
        if more > self.free:
            text = f"{more} more row blocks are needed and {self.free} of {self._blocks} are free"
            raise OutOfRoom(f"{text}; release a request first")

    def grow(self, wanted: Mapping[Owner, int]) -> None:
        """Let each owner have at least this many row blocks.

        Raises:
            OutOfRoom: they do not all fit; then none is given.
        """
        self.check(wanted)
        for owner, blocks in wanted.items():
            rows = self._owned.setdefault(owner, [])
            rows.extend(self._next() for _ in range(blocks - len(rows)))

    def row(self, key: Key, kind: str, block: int) -> int:
        """The row that is a head group's row block of K or V.

        Raises:
            InvariantBroken: it has no such row block.
        """
        rows = self._owned.get((key, kind), [])
        if not 0 <= block < len(rows):
            raise InvariantBroken(f"row block {block} of {kind} of {key} was never handed out")
        return rows[block]

    def release(self, request: int) -> list[int]:
        """Take back all that a request owns; returns the rows."""
        owners = [owner for owner in self._owned if owner[0][0] == request]
        rows = [row for owner in owners for row in self._owned.pop(owner)]
        for row in rows:
            heapq.heappush(self._freed, row)
        return rows

    def _next(self) -> int:
        if self._freed:
            return heapq.heappop(self._freed)
        self._untouched += 1
        return self._untouched - 1

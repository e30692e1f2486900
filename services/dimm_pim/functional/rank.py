"""One rank with data: its chips, the owners of their rows, and attention on them.

Capacity is handed out in row blocks, the same row of all banks of all chips: K of a head group takes whole
ones, and V does. So a rank is full somewhat earlier than its KV in bytes says. One row block is for scratch.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from l3sim.errors import OutOfStep
from l3sim.services.dimm_pim.functional.bank_unit import width_of
from l3sim.services.dimm_pim.functional.execute import BankCall, NewToken
from l3sim.services.dimm_pim.functional.execute_rank import RankCall
from l3sim.services.dimm_pim.functional.memory import Chips, Key, Owner, RowBlocks
from l3sim.services.dimm_pim.functional.numeric import Halves
from l3sim.services.dimm_pim.functional.rank_unit import RankUnit
from l3sim.services.dimm_pim.functional.relayout import HostLayout, PimLayout
from l3sim.services.dram.command.columns import COMMANDS
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.result import Outcome, attend
from l3sim.units import Int64s

KINDS = ("K", "V")


class Rank:
    """Bytes and attention of one rank.

    Args:
        room_bytes: what KV may use of it.

    Raises:
        InvalidInput: its sums have no number format.
    """

    def __init__(self, kernel: Kernel, room_bytes: int) -> None:
        at = kernel.geometry
        width_of(kernel)
        self.kernel = kernel
        self._layout = HostLayout(at, kernel.token_bursts) if kernel.pim.pu == "rank" else PimLayout(at)
        block_bytes = at.chips * at.banks * at.row_bytes
        blocks = min(room_bytes, kernel.dimm.rank_capacity_bytes - block_bytes) // block_bytes
        self._scratch = max(blocks, 0)
        self.blocks = RowBlocks(self._scratch)
        self.chips = Chips(at)
        self._tokens: dict[Key, int] = {}

    def tokens(self, key: Key) -> int:
        """KV tokens of a head group."""
        return self._tokens.get(key, 0)

    def check(self, more: Sequence[tuple[Key, int, int]]) -> None:
        """Look whether tokens can be added to head groups.

        Args:
            more: (head group, first of the new tokens, how many).

        Raises:
            OutOfStep: they do not follow what is there.
            OutOfRoom: they do not all fit.
        """
        for key, first, _ in more:
            if first != self.tokens(key):
                text = f"request {key[0]} has {self.tokens(key)} tokens of layer {key[1]} here"
                raise OutOfStep(f"{text}; the next is token {self.tokens(key)}, not {first}")
        self.blocks.check(self._wanted(more))

    def write(self, key: Key, first: int, k: Halves, v: Halves) -> None:
        """Offload tokens of a head group through the re-layout unit.

        Args:
            first: the first of them; they follow what is there.
            k, v: shape (tokens, heads, head size).

        Raises:
            OutOfStep: they do not follow what is there.
            OutOfRoom: they do not fit; then nothing was written.
        """
        self.check([(key, first, len(k))])
        self.blocks.grow(self._wanted([(key, first, len(k))]))
        for kind, data in zip(KINDS, (k, v), strict=True):
            for row, inside, here in self._pieces(key, kind, first, len(k)):
                self._layout.put(self.chips.row(row), kind, inside, data[here])
        self._tokens[key] = first + len(k)

    def read(self, key: Key, first: int, tokens: int) -> tuple[Halves, Halves]:
        """Read tokens back on the reverse path: K and V, shape (tokens, heads, head size) each.

        Raises:
            OutOfStep: they are not all there.
        """
        if first < 0 or tokens < 1 or first + tokens > self.tokens(key):
            text = f"request {key[0]} has {self.tokens(key)} tokens of layer {key[1]} here"
            raise OutOfStep(f"{text}; it cannot give {tokens} from token {first} on")
        both = []
        for kind in KINDS:
            pieces = self._pieces(key, kind, first, tokens)
            both.append(
                np.concatenate([self._layout.get(self.chips.row(row), kind, at) for row, at, _ in pieces])
            )
        return both[0], both[1]

    def attend(self, keys: Sequence[Key], groups: Sequence[NewToken]) -> tuple[list[RankUnit], Outcome]:
        """Append a token to each head group whose new one lies here and attend, one after the other.

        Args:
            keys: of the head groups, each once.

        Returns:
            The unit of each, with its output, and what the very command stream took.

        Raises:
            OutOfStep: a group's tokens are not those that are here and a new one.
            OutOfRoom: the new tokens do not all fit; then nothing was written.
        """
        counts = [group.tokens for group in groups]
        appends = [group.k is not None for group in groups]
        more = [(key, count - new, int(new)) for key, count, new in zip(keys, counts, appends, strict=True)]
        self.check(more)
        self.blocks.grow(self._wanted(more))
        traced = int(attend(self.kernel, counts, appends=appends).values[COMMANDS].sum())
        outcome = attend(self.kernel, counts, traced, appends)
        call = (RankCall if self.kernel.pim.pu == "rank" else BankCall)(
            self.kernel, self.chips, partial(self._row_of, keys), outcome, groups
        )
        units = call.run()
        self._tokens.update(zip(keys, counts, strict=True))
        return units, outcome

    def release(self, request: int) -> None:
        """Forget a request."""
        for row in self.blocks.release(request):
            self.chips.forget(row)
        for key in [key for key in self._tokens if key[0] == request]:
            del self._tokens[key]

    def _wanted(self, more: Sequence[tuple[Key, int, int]]) -> dict[Owner, int]:
        """Row blocks that head groups need; see `check`."""
        rows = self._layout.row_tokens
        return {
            (key, kind): -(-(first + count) // rows[kind]) for key, first, count in more for kind in KINDS
        }

    def _row_of(self, keys: Sequence[Key], name: tuple[int, str, int]) -> int:
        group, kind, block = name
        return self.blocks.row(keys[group], kind, block) if kind in KINDS else self._scratch

    def _pieces(self, key: Key, kind: str, first: int, tokens: int) -> list[tuple[int, Int64s, slice]]:
        """(row, tokens of the row block, the same counted from the first one) of a range, in order."""
        size, pieces, done = self._layout.row_tokens[kind], [], 0
        while done < tokens:
            block, inside = divmod(first + done, size)
            count = min(size - inside, tokens - done)
            row = self.blocks.row(key, kind, block)
            pieces.append((row, np.arange(inside, inside + count), slice(done, done + count)))
            done += count
        return pieces

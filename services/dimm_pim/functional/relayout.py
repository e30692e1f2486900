"""The re-layout unit: from the host's bytes to the chips' columns, and back.

A host writes bursts of eight 64-bit beats, and each beat gives one byte to each of eight x8 chips. So the two
bytes of an FP16 element, side by side in memory, land on two chips (`stripe`):

    memory   a0 a1 b0 b1 c0 c1 d0 d1 | e0 e1 f0 f1 g0 g1 h0 h1      elements a, b, c, ... of two bytes each
    chip       0  1  2  3  4  5  6  7
    beat 0    a0 a1 b0 b1 c0 c1 d0 d1
    beat 1    e0 e1 f0 f1 g0 g1 h0 h1

The unit on the buffer chip rearranges in flight. *Fine-grained*, by bits: each pair of beats holds as many
elements as there are chips; each element goes to one chip, in two consecutive beats (`fine`):

    beat 0    a0 b0 c0 d0 e0 f0 g0 h0
    beat 1    a1 b1 c1 d1 e1 f1 g1 h1

*Coarse-grained*, by heads: of the group's 8/N_hc heads, head h goes to chips [h*N_hc, (h+1)*N_hc), each chip
taking e = E_h/N_hc neighbouring elements (`coarse`). One pair of beats then carries, of heads x, y, z, ...:

    chip         0      1      2      3      4      5      6      7
    N_hc = 8    x[0]   x[e]   x[2e]  x[3e]  x[4e]  x[5e]  x[6e]  x[7e]     one head
    N_hc = 2    x[0]   x[e]   y[0]   y[e]   z[0]   z[e]   w[0]   w[e]      one element of each half of 4 heads
    N_hc = 1    x[0]   y[0]   z[0]   w[0]   ...                            one element of each of 8 heads

For that the unit buffers one token of the group (at most 8 heads). What a chip got of a token's K is a run of
columns of one bank. Of V, dimension d goes to bank d mod 16; four tokens share a column: the first of them
writes it whole, with zeros, so that what lay there before is gone, and the others their two bytes, under the
data mask.

Source: arXiv 2504.17584 for both grains; which element of a head goes where is our reading
(`command.geometry`).
"""

import numpy as np

from l3sim.services.dimm_pim.functional.memory import Bytes
from l3sim.services.dimm_pim.functional.numeric import Halves
from l3sim.services.dram.command.geometry import Geometry
from l3sim.specs.model import ELEMENT_BYTES
from l3sim.units import Int64s


def stripe(data: Bytes, chips: int) -> Bytes:
    """Bytes in memory order, shape (..., n), as beats give them to chips, shape (..., chips, n / chips)."""
    return data.reshape(*data.shape[:-1], -1, chips).swapaxes(-1, -2)


def unstripe(beats: Bytes) -> Bytes:
    """The reverse of `stripe`."""
    return beats.swapaxes(-1, -2).reshape(*beats.shape[:-2], -1)


def fine(beats: Bytes) -> Bytes:
    """Beats as the host sends them, shape (..., chips, beats), with each element on one chip; same shape."""
    chips, count = beats.shape[-2:]
    pairs = unstripe(beats).reshape(*beats.shape[:-2], count // ELEMENT_BYTES, chips, ELEMENT_BYTES)
    return pairs.swapaxes(-2, -3).reshape(beats.shape)


def unfine(beats: Bytes) -> Bytes:
    """The reverse of `fine`."""
    chips, count = beats.shape[-2:]
    pairs = beats.reshape(*beats.shape[:-2], chips, count // ELEMENT_BYTES, ELEMENT_BYTES).swapaxes(-2, -3)
    return stripe(pairs.reshape(*beats.shape[:-2], -1), chips)


def coarse(beats: Bytes) -> Bytes:
    """One token of a group as `fine` gives it, shape (..., chips, beats), with each head on its own chips.

    Element n of the token came to chip n mod chips; it belongs to chip n div e. Heads and their parts follow
    each other in memory as they do over the chips, so that N_hc enters by the group's heads alone.
    """
    chips, count = beats.shape[-2:]
    pairs = beats.reshape(*beats.shape[:-2], chips, count // ELEMENT_BYTES, ELEMENT_BYTES)
    return pairs.swapaxes(-2, -3).reshape(beats.shape)


def uncoarse(beats: Bytes) -> Bytes:
    """The reverse of `coarse`."""
    chips, count = beats.shape[-2:]
    pairs = beats.reshape(*beats.shape[:-2], count // ELEMENT_BYTES, chips, ELEMENT_BYTES)
    return pairs.swapaxes(-2, -3).reshape(beats.shape)


class PimLayout:
    """K and V where bank units can use them: `command.geometry` in bytes."""

    def __init__(self, at: Geometry) -> None:
        self._at = at
        self.row_tokens = {"K": at.k_row_tokens, "V": at.v_row_tokens}

    def chip_bytes(self, tokens: Halves) -> Bytes:
        """What each chip gets of each token, shape (tokens, chips, 2 e).

        Args:
            tokens: K or V of a group, shape (tokens, heads, head size).
        """
        return coarse(fine(stripe(bytes_of(tokens), self._at.chips)))

    def k_columns(self, tokens: Halves) -> Bytes:
        """Columns of K, shape (tokens, chips, token columns, column bytes)."""
        at = self._at
        return self.chip_bytes(tokens).reshape(-1, at.chips, at.token_columns, at.column_bytes)

    def v_elements(self, tokens: Halves) -> Bytes:
        """Elements of V by bank and dimension slot, shape (tokens, chips, banks, D, 2)."""
        at = self._at
        dims = self.chip_bytes(tokens).reshape(-1, at.chips, at.bank_dims, at.banks, ELEMENT_BYTES)
        return dims.swapaxes(2, 3)

    def put(self, row: Bytes, kind: str, inside: Int64s, tokens: Halves) -> None:
        """Write tokens into a row block.

        Args:
            row: its bytes, written. inside: which tokens of the row block, ascending, shape (n,).
        """
        if kind == "K":
            row[:, *self._k_place(inside)] = self.k_columns(tokens).swapaxes(0, 1)
            return
        column, element = self._v_place(inside)
        row[:, :, column[element == 0]] = 0
        dims = self._elements(row)
        dims[:, :, column, element[:, None]] = self.v_elements(tokens).transpose(1, 2, 0, 3, 4)

    def get(self, row: Bytes, kind: str, inside: Int64s) -> Halves:
        """Read tokens of a row block back, shape (n, heads, head size)."""
        at = self._at
        if kind == "K":
            beats = row[:, *self._k_place(inside)].swapaxes(0, 1)
        else:
            column, element = self._v_place(inside)
            beats = self._elements(row)[:, :, column, element[:, None]].transpose(2, 0, 3, 1, 4)
        beats = np.ascontiguousarray(beats).reshape(len(inside), at.chips, -1)
        return halves_of(unstripe(unfine(uncoarse(beats)))).reshape(len(inside), at.heads, at.head_size)

    def _k_place(self, inside: Int64s) -> tuple[Int64s, Int64s]:
        """(bank, columns) of tokens, shapes (n, 1) and (n, token columns)."""
        slot, bank = np.divmod(inside, self._at.banks)
        columns = slot[:, None] * self._at.token_columns + np.arange(self._at.token_columns)
        return bank[:, None], columns

    def _v_place(self, inside: Int64s) -> tuple[Int64s, Int64s]:
        """(columns, element) of tokens, shapes (n, D) and (n,)."""
        quad, element = np.divmod(inside, self._at.column_elements)
        return quad[:, None] * self._at.bank_dims + np.arange(self._at.bank_dims), element

    def _elements(self, row: Bytes) -> Bytes:
        """A view of a row block, shape (chips, banks, columns, elements, 2)."""
        return row.reshape(*row.shape[:3], self._at.column_elements, ELEMENT_BYTES)


class HostLayout:
    """K and V as the host writes them (`pu: rank`): bursts over all chips, bank after bank, column by column.

    burst n of a row block:  bank n mod 16, column n div 16, all chips; a token's heads follow each other
    """

    def __init__(self, at: Geometry, token_bursts: int) -> None:
        self._at = at
        self._bursts = token_bursts
        tokens = at.row_columns * at.banks // token_bursts
        self.row_tokens = {"K": tokens, "V": tokens}

    def bursts(self, tokens: Halves) -> Bytes:
        """Tokens as bursts, shape (tokens, bursts, chips, column bytes); the last filled up with zeros."""
        at = self._at
        data = bytes_of(tokens)
        room = np.zeros((len(data), self._bursts * at.chips * at.column_bytes), dtype=np.uint8)
        room[:, : data.shape[1]] = data
        return stripe(room.reshape(len(data), self._bursts, -1), at.chips)

    def tokens(self, bursts: Bytes) -> Halves:
        """The reverse of `bursts`, shape (tokens, heads, head size)."""
        at = self._at
        data = unstripe(bursts).reshape(len(bursts), -1)[:, : at.heads * at.head_size * ELEMENT_BYTES]
        return halves_of(data).reshape(len(bursts), at.heads, at.head_size)

    def put(self, row: Bytes, kind: str, inside: Int64s, tokens: Halves) -> None:  # noqa: ARG002
        """See PimLayout.put."""
        row[:, *self._place(inside)] = self.bursts(tokens).transpose(2, 0, 1, 3)

    def get(self, row: Bytes, kind: str, inside: Int64s) -> Halves:  # noqa: ARG002
        """See PimLayout.get."""
        return self.tokens(row[:, *self._place(inside)].transpose(1, 2, 0, 3))

    def _place(self, inside: Int64s) -> tuple[Int64s, Int64s]:
        """(bank, column) of the bursts of tokens, shape (n, bursts) each."""
        column, bank = np.divmod(inside[:, None] * self._bursts + np.arange(self._bursts), self._at.banks)
        return bank, column


def bytes_of(tokens: Halves) -> Bytes:
    """Tokens as the host's memory holds them: little-endian, shape (tokens, bytes)."""
    wire = np.ascontiguousarray(tokens, dtype="<f2")
    return wire.reshape(len(wire), -1).view(np.uint8)


def halves_of(data: Bytes) -> Halves:
    """The reverse of `bytes_of`, for any shape (..., bytes)."""
    return np.ascontiguousarray(data).view("<f2").astype(np.float16, copy=False)

"""The units beside the banks: shared buffer, multipliers, result buffer; all chips and banks at once.

    shared buffer of a chip (FP16)      | Q: query 0, 1, ... | slot 0 of S | slot 1 of S | ...
                                          e elements each      quad 0: query 0, 1, ...; quad 1: ...

    result buffer of a bank (sums)      | slot 0             | slot 1             | ...      score
                                          token 0: query 0, 1, ...; token 16: ...
                                        | dimension 0: query 0, 1, ...; dimension 16: ...    context

One PIM_MAC multiplies the elements of a column with as many from the shared buffer for each query of a pass,
adds them as a tree, and adds that to the sum of the query. FP16 operands; each product and each addition is
rounded to the width of a sum, `result_bytes`: 4 is FP32 (products of FP16 are exact then), 2 is FP16, 8 is
FP64. That what is collected is as wide as what is accumulated is our reading.
"""

from typing import Any

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.services.dimm_pim.functional.memory import Bytes
from l3sim.services.dimm_pim.functional.numeric import Halves, Sums, add_up
from l3sim.services.dimm_pim.functional.operands import Part
from l3sim.services.dram.command.kernel import Kernel

#: Format of a sum by `result_bytes`.
WIDTHS: dict[int, type[np.floating[Any]]] = {2: np.float16, 4: np.float32, 8: np.float64}


def width_of(kernel: Kernel) -> type[np.floating[Any]]:
    """The format of sums.

    Raises:
        InvalidInput: no format has this many bytes.
    """
    if kernel.pim.result_bytes not in WIDTHS:
        text = f"sums of {kernel.pim.result_bytes} bytes have no number format; use 2, 4 or 8"
        raise InvalidInput(("result_bytes", text))
    return WIDTHS[kernel.pim.result_bytes]


class BankUnits:
    """Buffers of one rank. What is not there yet, or not any more, is no number."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        at, pim = kernel.geometry, kernel.pim
        self.width = width_of(kernel)
        self.shared: Halves = np.full((at.chips, pim.shared_buffer_bytes // 2), np.nan, dtype=np.float16)
        cells = pim.result_buffer_bytes // pim.result_bytes
        self.results: Sums = np.full((at.chips, at.banks, cells), np.nan, dtype=self.width)
        #: Cycle from which a sum of the result buffer is finished.
        self._finished = np.zeros(cells, dtype=np.int64)

    def query_cells(self, number: int) -> slice:
        """Of the shared buffer: burst `number` of Q."""
        width = self._kernel.geometry.column_elements
        return slice(number * width, (number + 1) * width)

    def stream_cells(self, slot: int, number: int) -> slice:
        """Of the shared buffer: burst `number` of a chunk of S."""
        kernel = self._kernel
        room = kernel.context_chunk * kernel.turn_queries
        first = kernel.geometry.queries * kernel.geometry.chip_elements + slot % kernel.shared_slots * room
        width = kernel.geometry.column_elements
        return slice(first + number * width, first + (number + 1) * width)

    def score(self, column: Bytes, part: Part, slot: int, offset: int, number: int, finished: int) -> None:
        """One PIM_MAC of Q x K.

        Args:
            column: what the banks read, shape (chips, banks, column bytes).
            offset: columns from the chunk's first one. number: pass over this column.
            finished: cycle at which the sum is.
        """
        at = self._kernel.geometry
        token, piece = divmod(offset, at.token_columns)
        queries = self._pass(part, number)
        pieces = self.shared[:, : at.queries * at.chip_elements].reshape(
            at.chips, at.queries, at.token_columns, -1
        )
        first = self.score_base(slot) + token * at.queries
        self._multiply(column, pieces[:, queries, piece], first, queries, fresh=piece == 0, finished=finished)

    def context(
        self, column: Bytes, part: Part, slot: int, offset: int, number: int, finished: int, *, fresh: bool
    ) -> None:
        """One PIM_MAC of S x V; see `score`.

        Args:
            fresh: this is the segment's first chunk.
        """
        at = self._kernel.geometry
        quad, dim = divmod(offset, at.bank_dims)
        queries = self._pass(part, number)
        begin = self.stream_cells(slot, quad * part.queries).start
        quads = self.shared[:, begin : begin + part.queries * at.column_elements]
        quads = quads.reshape(at.chips, part.queries, at.column_elements)
        first = dim * part.queries
        self._multiply(
            column, quads[:, queries], first, queries, fresh=fresh and quad == 0, finished=finished
        )

    def score_base(self, slot: int) -> int:
        """Of the result buffer: where a chunk of scores begins."""
        return slot % self._kernel.result_slots * self._kernel.score_chunk * self._kernel.geometry.queries

    def collect(self, bank: int, first: int, sums: int, now: int) -> Sums:
        """One PIM_RD_RB: sums of one bank of every chip, shape (chips, n); no number if not finished."""
        cells = slice(first, first + sums)
        return np.where(self._finished[cells] <= now, self.results[:, bank, cells], np.nan)

    def _pass(self, part: Part, number: int) -> slice:
        """The queries of one pass over a column."""
        first = number * self._kernel.queries_per_read
        return slice(first, min(first + self._kernel.queries_per_read, part.queries))

    def _multiply(
        self, column: Bytes, vectors: Halves, first: int, queries: slice, *, fresh: bool, finished: int
    ) -> None:
        read = column.view("<f2").astype(self.width)
        products = read[:, :, None, :] * vectors.astype(self.width)[:, None, :, :]
        total = add_up(np.moveaxis(products, -1, 0))
        cells = slice(first + queries.start, first + queries.stop)
        self.results[:, :, cells] = total if fresh else self.results[:, :, cells] + total
        self._finished[cells] = finished

"""The same attention with units at the rank only (`pu: rank`, R-PIM): K and V cross the rank's bus.

Nothing is computed in the chips, so nothing is re-laid out, broadcast or collected: the rank's unit reads K, makes
the scores, reads V, and has the output.

    inner  | append | ACT x 16            PREA | ACT x 16            PREA | ...
    outer  |             RD RD RD RD ...            RD RD RD RD ...
"""

from collections.abc import Sequence

from services.dimm_pim.command.commands import Command as C
from services.dimm_pim.command.kernel import Kernel
from services.dimm_pim.command.program import INNER, OUTER, UNIT, Cause, Phase, Program, Wait
from services.dimm_pim.command.rows import Rows


class RankAttention:
    """Writes head groups into a program; see `Attention`."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.program = Program()
        self.rows = Rows(kernel, self.program)
        self._collected = kernel.pim.cl_tck + kernel.pim.bl_tck
        self._done = 0
        self._begin = 0

    def call(self, tokens: Sequence[int]) -> Program:
        """The program of one attend call on one rank."""
        for number, count in enumerate(tokens):
            self.rows.append(count - 1, number, Wait(self._begin, 0, Cause.WRITE))
            for first in range(0, count, self.kernel.segment_tokens):
                part = min(self.kernel.segment_tokens, count - first)
                self._read_all(part, first, number, "K", Phase.SCORE)
                self.rows.host_transfer()
                self._read_all(part, first, number, "V", Phase.CONTEXT)
            if number == len(tokens) - 1 or not self.kernel.pim.overlap_heads:
                self._begin = self._finish()
        return self.program

    def _read_all(self, tokens: int, first: int, group: int, kind: str, phase: Phase) -> None:
        """Stream K or V through the rank's unit, a row of all banks at a time."""
        kernel, at, add = self.kernel, self.kernel.at, self.program.add
        passes = kernel.passes(at.queries)
        read: list[int] = []
        done: list[int] = []

        def write(row_first: int, part: int) -> None:
            self.rows.open(phase, group, kind, (first + row_first) // kernel.row_tokens)
            opened = add(C.NOP, INNER, phase, Cause.ROW, signal=True)
            read.append(
                add(
                    C.RD, OUTER, phase, Cause.COMPUTE, Wait(opened, kernel.pim.rcd_tck, Cause.ROW),
                    count=part * kernel.token_bursts * passes, bank_span=at.banks, column_hold=at.banks * passes,
                    row=self.rows.current, first=first + row_first, signal=True,
                )  # fmt: skip
            )
            cycles = kernel.softmax_tck(at.heads * at.queries * part)
            here = Wait(read[-1], self._collected, Cause.COMPUTE)
            done.append(add(C.UNIT, UNIT, phase, Cause.SOFTMAX, here, count=cycles, signal=True))
            self.rows.close(phase, Cause.ROW, Wait(read[-1], kernel.pim.rtp_tck, Cause.COMPUTE))

        self.rows.through(tokens, kernel.row_tokens, write, (read, done))
        self._done = done[-1]

    def _finish(self) -> int:
        pim, add = self.kernel.pim, self.program.add
        latency = Wait(self._done, pim.rank_pu_latency_tck, Cause.SOFTMAX)
        closed = Wait(self.rows.closed, pim.rp_tck, Cause.ROW)
        add(C.NOP, INNER, Phase.OUTPUT, Cause.SOFTMAX, latency, closed)
        add(C.REF, INNER, Phase.OUTPUT, Cause.REFRESH)
        return add(C.NOP, INNER, Phase.OUTPUT, Cause.REFRESH, signal=True)

"""The same attention with units at the rank only (`pu: rank`, R-PIM): K and V cross the rank's bus.

Nothing is computed in the chips, so nothing is re-laid out, broadcast or collected: the rank's unit reads K,
makes the scores, reads V, and has the output. Head groups do not overlap: between them the bus is idle for a
row's opening only.

    inner  | append | ACT x 16            PREA | ACT x 16            PREA | ...
    outer  |             RD RD RD RD ...            RD RD RD RD ...
    unit   |                          softmax  normalise
"""

from collections.abc import Sequence

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import INNER, OUTER, UNIT, Cause, Phase, Program, Wait
from l3sim.services.dram.command.rows import Rows


class RankAttention:
    """Writes head groups into a program; see `Attention`."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.program = Program()
        self.rows = Rows(kernel, self.program)
        self._arrived = kernel.pim.cl_tck + kernel.pim.bl_tck
        self._last = 0
        self._begin = 0

    def call(self, tokens: Sequence[int], appends: Sequence[bool]) -> Program:
        """The program of one attend call on one rank; see `Attention.call`."""
        for number, (count, new) in enumerate(zip(tokens, appends, strict=True)):
            free = Wait(self._begin, 0, Cause.WRITE)
            if new:
                self.rows.append(count - 1, number, free)
            else:
                self.rows.no_append(number, free)
            for first in range(0, count, self.kernel.segment_tokens):
                part = min(self.kernel.segment_tokens, count - first)
                softmax = self._score(part, first, number)
                self.rows.host_transfer()
                self._context(part, first, number, softmax)
            self._begin = self._finish()
        return self.program

    def _score(self, tokens: int, first: int, group: int) -> int:
        """Read K; returns the event of the last exponentials."""
        done: list[int] = []

        def write(row_first: int, part: int) -> None:
            self.rows.open(Phase.SCORE, group, "K", (first + row_first) // self.kernel.row_tokens)
            read = self._read_row(Phase.SCORE, part, first + row_first)
            here = Wait(read, self._arrived, Cause.COMPUTE)
            cycles = self._softmax_tck(part)
            done.append(
                self.program.add(Cmd.UNIT, UNIT, Phase.SCORE, Cause.SOFTMAX, here, count=cycles, signal=True)
            )

        self.rows.through(tokens, self.kernel.row_tokens, write, (done,))
        return done[-1]

    def _context(self, tokens: int, first: int, group: int, softmax: int) -> None:
        """Read V, as S is finished."""
        reads: list[int] = []
        ready = [Wait(softmax, self.kernel.pim.rank_pu_latency_tck, Cause.SOFTMAX)]

        def write(row_first: int, part: int) -> None:
            self.rows.open(Phase.CONTEXT, group, "V", (first + row_first) // self.kernel.row_tokens)
            cycles = self._softmax_tck(part)
            norm = self.program.add(
                Cmd.UNIT, UNIT, Phase.CONTEXT, Cause.SOFTMAX, *ready, count=cycles, signal=True
            )
            ready.clear()
            self.program.add(Cmd.NOP, INNER, Phase.CONTEXT, Cause.SOFTMAX, Wait(norm, 0, Cause.SOFTMAX))
            reads.append(self._read_row(Phase.CONTEXT, part, first + row_first, Wait(norm, 0, Cause.SOFTMAX)))

        self.rows.through(tokens, self.kernel.row_tokens, write, (reads,))
        self._last = reads[-1]

    def _read_row(self, phase: Phase, tokens: int, first: int, *waits: Wait) -> int:
        """Read tokens of the row that has been opened, then close it; returns the event of the last read."""
        kernel, at, add = self.kernel, self.kernel.geometry, self.program.add
        passes = kernel.passes(at.queries)
        opened = add(Cmd.NOP, INNER, phase, Cause.ROW, signal=True)
        read = add(
            Cmd.RD, OUTER, phase, Cause.COMPUTE, Wait(opened, kernel.pim.rcd_tck, Cause.ROW), *waits,
            count=tokens * kernel.token_bursts * passes, bank_span=at.banks, column_hold=at.banks * passes,
            row=self.rows.current, first=first, signal=True,
        )  # fmt: skip
        self.rows.close(phase, Cause.ROW, Wait(read, kernel.pim.rtp_tck, Cause.COMPUTE))
        return read

    def _softmax_tck(self, tokens: int) -> int:
        at = self.kernel.geometry
        return self.kernel.softmax_tck(at.heads * at.queries * tokens)

    def _finish(self) -> int:
        """Wait for the last output, close all rows, refresh if one is due; returns the event of the end."""
        pim, add = self.kernel.pim, self.program.add
        output = Wait(self._last, self._arrived + pim.rank_pu_latency_tck, Cause.COMPUTE)
        add(
            Cmd.NOP, INNER, Phase.OUTPUT, Cause.COMPUTE, output, Wait(self.rows.closed, pim.rp_tck, Cause.ROW)
        )
        add(Cmd.REF, INNER, Phase.OUTPUT, Cause.REFRESH)
        return add(Cmd.NOP, INNER, Phase.OUTPUT, Cause.REFRESH, signal=True)

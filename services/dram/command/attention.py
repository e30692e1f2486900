"""Lays down the program of decode attention: head groups one after the other on one rank.

Event 0 is the start. `Attention` keeps the few events that tie one part to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.constraints import slot_wait
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import INNER, NO_EVENT, OUTER, UNIT, Cause, Phase, Program, Wait
from l3sim.services.dram.command.rows import Rows


@dataclass(frozen=True)
class Chunk:
    """Tokens that are computed while the ones before them move.

    Attributes:
        first: token of the head group. inside: the same, of its row. number: of the chunk, from 0.
    """

    tokens: int
    first: int
    inside: int
    number: int


class Attention:
    """Writes head groups into a program."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.program = Program()
        self.rows = Rows(kernel, self.program)
        pim = kernel.pim
        self._sum_ready = slot_wait(pim, Cmd.PIM_MAC, Cmd.PIM_RD_RB)
        self._slot_free = slot_wait(pim, Cmd.PIM_RD_RB, Cmd.PIM_MAC)
        self._burst_here = slot_wait(pim, Cmd.PIM_WR_SB, Cmd.PIM_MAC)
        self._burst_read = slot_wait(pim, Cmd.PIM_MAC, Cmd.PIM_WR_SB)
        self._collected = pim.cl_tck + pim.bl_tck
        #: The last outputs are in the rank's unit; the last MACs have been issued.
        self._output = 0
        self._drained = 0
        #: The last MACs of a head group whose outputs are still on their way; 0: there is none.
        self._last_mac = 0
        self._begin = 0

    def call(self, tokens: Sequence[int], appends: Sequence[bool]) -> Program:
        """The program of one attend call on one rank.

        Args:
            tokens: of each head group, the new one included, in the order in which they run.
            appends: whether the new token lies on this rank.
        """
        for number, (count, new) in enumerate(zip(tokens, appends, strict=True)):
            self.group(count, number, new)
            if number == len(tokens) - 1 or not self.kernel.pim.overlap_heads:
                self._begin, self._last_mac = self.finish(), 0
        return self.program

    def group(self, tokens: int, number: int, new: bool = True) -> None:
        """One head group: write the new token, then attend, a segment at a time."""
        kernel = self.kernel
        # With overlap the rows close at different times after the last MAC; by RAS + RP they are closed.
        rows_free = kernel.pim.ras_tck + kernel.pim.rp_tck if self._last_mac else 0
        free = Wait(self._last_mac or self._begin, rows_free, Cause.WRITE)
        if new:
            self.rows.append(tokens - 1, number, free)
        else:
            self.rows.no_append(number, free)
        query = self.program.add(
            Cmd.PIM_WR_SB, OUTER, Phase.SCORE, Cause.QUERY, Wait(self._begin, 0, Cause.QUERY),
            count=kernel.query_bursts, row=number, signal=True,
        )  # fmt: skip
        for first in range(0, tokens, kernel.segment_tokens):
            count = min(kernel.segment_tokens, tokens - first)
            softmax = self._score(count, first, number, query)
            self.rows.host_transfer()
            self._context(count, first, number, softmax)

    def finish(self) -> int:
        """Wait for the last outputs, close all rows, refresh if one is due; returns the event of the end."""
        pim = self.kernel.pim
        add = self.program.add
        closed = self.rows.closed
        waits = (
            Wait(self._output, pim.rank_pu_latency_tck, Cause.COLLECT),
            Wait(closed, pim.rp_tck, Cause.ROW),
        )
        add(Cmd.NOP, INNER, Phase.OUTPUT, Cause.COLLECT, *waits)
        add(Cmd.REF, INNER, Phase.OUTPUT, Cause.REFRESH)
        return add(Cmd.NOP, INNER, Phase.OUTPUT, Cause.REFRESH, signal=True)

    def _score(self, tokens: int, first: int, group: int, query: int) -> tuple[int, int]:
        """Q x K; returns the events (last sums collected, last exponentials done)."""
        kernel, at = self.kernel, self.kernel.geometry
        moved: list[int] = []  # chunk by chunk: its slot is free again
        done: list[int] = []
        waits = [Wait(query, self._burst_here, Cause.QUERY)]
        if self._output:  # the outputs before these lie in the result buffer
            waits.append(Wait(self._drained, self._slot_free, Cause.COLLECT))

        def write(row_first: int, row_tokens: int) -> None:
            self.rows.open(Phase.SCORE, group, "K", (first + row_first) // at.k_row_tokens)
            step = kernel.score_chunk * at.units
            for inside in range(0, row_tokens, step):
                chunk = Chunk(min(step, row_tokens - inside), first + row_first + inside, inside, len(moved))
                sums, softmax = self._score_chunk(chunk, [*waits, *self._score_waits(moved, done)])
                waits.clear()
                moved.append(sums)
                done.append(softmax)
            self.rows.close(Phase.SCORE)

        self.rows.through(tokens, at.k_row_tokens, write, (moved, done), kernel.result_slots)
        return moved[-1], done[-1]

    def _score_chunk(self, chunk: Chunk, waits: list[Wait]) -> tuple[int, int]:
        """One chunk of scores; returns the events (sums collected, exponentials done)."""
        kernel, at, add = self.kernel, self.kernel.geometry, self.program.add
        passes = kernel.passes(at.queries)
        slots = -(-chunk.tokens // at.units)
        mac = add(
            Cmd.PIM_MAC, INNER, Phase.SCORE, Cause.COMPUTE, *waits,
            count=slots * at.token_columns * passes, column=chunk.inside // at.units * at.token_columns,
            column_hold=passes, row=self.rows.current, slot=chunk.number, first=chunk.first, signal=True,
        )  # fmt: skip
        sums = self._collect(chunk, mac)
        elements = at.heads * at.queries * chunk.tokens
        cycles = max(kernel.softmax_tck(elements), kernel.adder_lag(elements * at.chips_per_head))
        here = Wait(sums, self._collected, Cause.COLLECT)
        return sums, add(Cmd.UNIT, UNIT, Phase.SCORE, Cause.SOFTMAX, here, count=cycles, signal=True)

    def _score_waits(self, moved: list[int], done: list[int]) -> list[Wait]:
        """What the next chunk's MACs wait for: a free slot; without pipelining, the chunk before."""
        if not self.kernel.pim.pipelining and moved:
            latency = self.kernel.pim.rank_pu_latency_tck
            return [
                Wait(moved[-1], self._collected, Cause.COLLECT),
                Wait(done[-1], latency, Cause.SOFTMAX),
            ]
        slots = self.kernel.result_slots
        if len(moved) >= slots:
            return [Wait(moved[len(moved) - slots], self._slot_free, Cause.COLLECT)]
        return []

    def _collect(self, chunk: Chunk, mac: int) -> int:
        """Bring a chunk's sums to the rank's unit, banks in turn; the last may be in some banks only."""
        kernel, at = self.kernel, self.kernel.geometry
        whole, rest = divmod(chunk.tokens, at.units)
        bursts = -(-whole * at.queries // kernel.burst_sums)
        more = -(-(whole + 1) * at.queries // kernel.burst_sums) - bursts if rest else 0
        ready = Wait(mac, self._sum_ready, Cause.COMPUTE)
        done = NO_EVENT
        for count, banks, entry in ((bursts * at.units, at.units, 0), (more * rest, rest, bursts)):
            if count:
                done = self.program.add(
                    Cmd.PIM_RD_RB, OUTER, Phase.SCORE, Cause.COLLECT, ready, count=count, bank_span=banks,
                    column=entry, column_hold=banks, slot=chunk.number, first=chunk.first, signal=True,
                )  # fmt: skip
        return done

    def _context(self, tokens: int, first: int, group: int, softmax: tuple[int, int]) -> None:
        """S x V, and the outputs to the rank's unit; queries in turns where their sums do not all fit."""
        kernel, at = self.kernel, self.kernel.geometry
        waits = [
            Wait(softmax[0], self._collected, Cause.COLLECT),
            Wait(softmax[1], kernel.pim.rank_pu_latency_tck, Cause.SOFTMAX),
        ]
        for query in range(0, at.queries, kernel.turn_queries):
            queries = range(query, min(query + kernel.turn_queries, at.queries))
            self._last_mac = self._turn(tokens, first, group, queries, waits)
            self._drained = self.program.add(
                Cmd.PIM_RD_RB, OUTER, Phase.OUTPUT, Cause.COLLECT,
                Wait(self._last_mac, self._sum_ready, Cause.COMPUTE),
                count=-(-at.bank_dims * len(queries) // kernel.burst_sums) * at.units, bank_span=at.units,
                column_hold=at.units, first=query, signal=True,
            )  # fmt: skip
            self._output = self.program.add(
                Cmd.UNIT, UNIT, Phase.OUTPUT, Cause.COLLECT,
                Wait(self._drained, self._collected, Cause.COLLECT),
                count=kernel.adder_lag(at.chips * at.units * at.bank_dims * len(queries)), signal=True,
            )  # fmt: skip
            waits = [
                Wait(self._drained, self._slot_free, Cause.COLLECT),
                Wait(softmax[1], 0, Cause.SOFTMAX),
            ]

    def _turn(self, tokens: int, first: int, group: int, queries: range, waits: list[Wait]) -> int:
        """S x V of some queries; returns the event of the last MAC.

        Args:
            waits: for what the first MAC waits; the last of them is for S.
        """
        kernel, at = self.kernel, self.kernel.geometry
        done: list[int] = []  # chunk by chunk: its MACs have gone
        pending = list(waits)

        def write(row_first: int, row_tokens: int) -> None:
            self.rows.open(Phase.CONTEXT, group, "V", (first + row_first) // at.v_row_tokens)
            for wait in pending:
                self.program.add(Cmd.NOP, INNER, Phase.CONTEXT, wait.cause, wait)
            for inside in range(0, row_tokens, kernel.context_chunk):
                size = min(kernel.context_chunk, row_tokens - inside)
                chunk = Chunk(size, first + row_first + inside, inside, len(done))
                done.append(self._context_chunk(chunk, queries, done, pending[-1:]))
                pending.clear()
            self.rows.close(Phase.CONTEXT)

        self.rows.through(tokens, at.v_row_tokens, write, (done,), kernel.shared_slots)
        return done[-1]

    def _context_chunk(self, chunk: Chunk, queries: range, done: list[int], ready: list[Wait]) -> int:
        """S finished by the rank's unit, streamed to the shared buffers, multiplied with V."""
        kernel, at, add = self.kernel, self.kernel.geometry, self.program.add
        quads = -(-chunk.tokens // at.column_elements)
        cycles = kernel.softmax_tck(at.heads * len(queries) * chunk.tokens)
        finished = add(Cmd.UNIT, UNIT, Phase.CONTEXT, Cause.SOFTMAX, *ready, count=cycles, signal=True)
        waits = [Wait(finished, 0, Cause.SOFTMAX)]
        slots, delay = (
            (kernel.shared_slots, self._burst_read) if kernel.pim.pipelining else (1, self._sum_ready)
        )
        if len(done) >= slots:
            waits.append(Wait(done[-slots], delay, Cause.COMPUTE))
        here = add(
            Cmd.PIM_WR_SB, OUTER, Phase.CONTEXT, Cause.STREAM, *waits, count=quads * len(queries),
            slot=chunk.number, first=chunk.first, signal=True,
        )  # fmt: skip
        passes = kernel.passes(len(queries))
        return add(
            Cmd.PIM_MAC, INNER, Phase.CONTEXT, Cause.COMPUTE, Wait(here, self._burst_here, Cause.STREAM),
            count=quads * at.bank_dims * passes,
            column=chunk.inside // at.column_elements * at.bank_dims, column_hold=passes,
            row=self.rows.current, slot=chunk.number, first=chunk.first, signal=True,
        )  # fmt: skip

"""Lays down the program of heads on one channel, one after the other; see `grouped` for where they lie.

    inner  | ACT K  MAC ... MAC  PREA | ACT K ... PREA | ACT V of the stage before ... | ...
    outer  | Q                 RD_RB ...    S of the stage before  RD_RB ...    WR_SB ...   next Q  RD_RB
    unit   |                        exponentials ...                      S finished ...

Both queues are first in, first out, so what is laid down *early* hides: the next Q and the first chunks of
S go before the last results of the part that runs meanwhile.
"""

from collections.abc import Callable, Sequence
from functools import partial

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.constraints import slot_wait
from l3sim.services.dram.command.grouped import SLOTS, GroupedKernel, Stage
from l3sim.services.dram.command.program import INNER, OUTER, UNIT, Cause, Phase, Program, Wait
from l3sim.services.dram.command.rows import Rows
from l3sim.specs.model import ELEMENT_BYTES

#: Lays down what the next part needs.
Early = Callable[[], None]
#: A chunk: first token of its stage, tokens.
Chunk = tuple[int, int]


class GroupedAttention:
    """Writes heads into a program; see `Attention`."""

    def __init__(self, kernel: GroupedKernel) -> None:
        self.kernel = kernel
        self.program = Program()
        self.rows = Rows(kernel, self.program)
        pim = kernel.pim
        self._sum_ready = slot_wait(pim, Cmd.PIM_MAC, Cmd.PIM_RD_RB)
        self._slot_free = slot_wait(pim, Cmd.PIM_RD_RB, Cmd.PIM_MAC)
        self._burst_here = slot_wait(pim, Cmd.PIM_WR_SB, Cmd.PIM_MAC)
        self._burst_read = slot_wait(pim, Cmd.PIM_MAC, Cmd.PIM_WR_SB)
        self._collected = pim.cl_tck + pim.bl_tck
        self._slots = SLOTS if pim.pipelining else 1
        self._begin = 0
        #: Events: each chunk's scores collected; each chunk's S sent, and multiplied.
        self._moved: list[int] = []
        self._sent: list[int] = []
        self._multiplied: list[int] = []
        #: Of each stage: Q sent; exponentials done.
        self._query: dict[Stage, int] = {}
        self._softmax: dict[Stage, int] = {}
        #: The last MAC of a score, which frees the room of Q; the last outputs, which free that of sums.
        self._scored = 0
        self._drained = 0

    def call(self, tokens: Sequence[int], appends: Sequence[bool]) -> Program:
        """The program of one attend call on one channel.

        Args:
            tokens: of each head, the new one included, in the order in which they run.
            appends: whether the new token lies here; always, since no head is striped over channels.
        """
        assert all(appends), "heads of stacks are never striped"
        heads = [self.kernel.stages(number, count) for number, count in enumerate(tokens)]
        if self.kernel.pim.overlap_heads and self.kernel.pim.pipelining:
            heads = [[stage for stages in heads for stage in stages]]
        for stages in heads:
            if self.kernel.pim.pipelining:
                self._overlapped(stages)
            else:
                self._in_turn(stages)
            self._finish()
        return self.program

    def _overlapped(self, stages: Sequence[Stage]) -> None:
        """Each context behind the score of the next stage."""
        last = len(stages) - 1
        self._send_query(stages[0])
        for number, stage in enumerate(stages):
            if number == 0:
                self._score(stage, partial(self._send_query, stages[1]) if last else _nothing)
                continue
            before = stages[number - 1]
            self._score(stage, partial(self._send_first, before))
            following = partial(self._send_first, stage)
            if number < last:
                following = partial(self._send_query, stages[number + 1])
            self._context(before, following)
        self._context(stages[last], _nothing)

    def _in_turn(self, stages: Sequence[Stage]) -> None:
        """One part after the other, one chunk after the other."""
        for stage in stages:
            self._send_query(stage)
            self._score(stage, _nothing)
            self._context(stage, _nothing)

    def _send_query(self, stage: Stage) -> None:
        at = self.kernel.geometry
        waits = [Wait(self._begin, 0, Cause.QUERY)]
        if self._scored:
            waits.append(Wait(self._scored, self._burst_read, Cause.QUERY))
        self._query[stage] = self.program.add(
            Cmd.PIM_WR_SB, OUTER, Phase.SCORE, Cause.QUERY, *waits,
            count=stage.queries * at.token_columns * at.group_banks, row=stage.head, first=stage.query,
            signal=True,
        )  # fmt: skip

    def _score(self, stage: Stage, early: Early) -> None:
        """Q x K of a stage; `early` goes before its last scores."""
        waits = [Wait(self._query[stage], self._burst_here, Cause.QUERY)]
        if self._drained and self.kernel.shares_results:
            waits.append(Wait(self._drained, self._slot_free, Cause.COLLECT))
        chunks = self._chunks(stage)
        for row, inside in enumerate(chunks):
            self._open(stage, Phase.SCORE, "K", inside[0][0], row == len(chunks) - 1)
            for chunk in inside:
                mac = self._multiply(stage, Phase.SCORE, chunk, len(self._moved), [*waits, *self._room()])
                waits.clear()
                self._scored = mac
                if chunk == chunks[-1][-1]:
                    early()
                self._collect(stage, chunk, mac)
            self.rows.close(Phase.SCORE)

    def _room(self) -> list[Wait]:
        """What the next scores wait for: a free slot; without pipelining, the chunk before in the end."""
        if not self.kernel.pim.pipelining and self._moved:
            return [Wait(self._moved[-1], self._collected, Cause.COLLECT)]
        if len(self._moved) >= SLOTS:
            return [Wait(self._moved[-SLOTS], self._slot_free, Cause.COLLECT)]
        return []

    def _collect(self, stage: Stage, chunk: Chunk, mac: int) -> None:
        """A chunk's scores to the buffer die, from each group in turn; exponentials follow."""
        kernel, at = self.kernel, self.kernel.geometry
        groups, slots = min(at.bank_groups, chunk[1]), -(-chunk[1] // at.bank_groups)
        moved = self.program.add(
            Cmd.PIM_RD_RB, OUTER, Phase.SCORE, Cause.COLLECT, Wait(mac, self._sum_ready, Cause.COMPUTE),
            count=groups * kernel.bursts(slots * stage.queries, kernel.pim.result_bytes), bank_span=groups,
            column_hold=groups, slot=len(self._moved), first=stage.first + chunk[0], signal=True,
        )  # fmt: skip
        self._moved.append(moved)
        self._softmax[stage] = self.program.add(
            Cmd.UNIT, UNIT, Phase.SCORE, Cause.SOFTMAX, Wait(moved, self._collected, Cause.COLLECT),
            count=kernel.softmax_tck(stage.queries * chunk[1]), signal=True,
        )  # fmt: skip

    def _context(self, stage: Stage, early: Early) -> None:
        """S x V of a stage, and its outputs; `early` goes before them."""
        kernel, at, pim = self.kernel, self.kernel.geometry, self.kernel.pim
        waits = []
        if kernel.shares_results or not pim.pipelining:
            waits.append(Wait(self._moved[-1], self._slot_free, Cause.COLLECT))
        chunks = self._chunks(stage)
        mac = 0
        for row, inside in enumerate(chunks):
            self._open(stage, Phase.CONTEXT, "V", inside[0][0], row == len(chunks) - 1)
            for chunk in inside:
                if len(self._sent) == len(self._multiplied):
                    self._send(stage, chunk)
                number = len(self._multiplied)
                here = Wait(self._sent[number], self._burst_here, Cause.STREAM)
                mac = self._multiply(stage, Phase.CONTEXT, chunk, number, [*waits, here])
                waits.clear()
                self._multiplied.append(mac)
            self.rows.close(Phase.CONTEXT)
        early()
        outputs = kernel.bursts(at.bank_dims * stage.queries, pim.result_bytes)
        banks = at.stack_ids * at.group_banks
        self._drained = self.program.add(
            Cmd.PIM_RD_RB, OUTER, Phase.OUTPUT, Cause.COLLECT, Wait(mac, self._sum_ready, Cause.COMPUTE),
            count=banks * outputs, bank_span=banks, column_hold=banks, first=stage.query, signal=True,
        )  # fmt: skip

    def _send_first(self, stage: Stage) -> None:
        """S of as many chunks as the buffers hold."""
        for chunk in [chunk for row in self._chunks(stage) for chunk in row][:SLOTS]:
            self._send(stage, chunk)

    def _send(self, stage: Stage, chunk: Chunk) -> None:
        """S of a chunk, finished by the buffer die, to the buffers of each group."""
        kernel, at, add = self.kernel, self.kernel.geometry, self.program.add
        groups, slots = min(at.bank_groups, chunk[1]), -(-chunk[1] // at.bank_groups)
        ready = Wait(self._softmax[stage], kernel.pim.rank_pu_latency_tck, Cause.SOFTMAX)
        finished = add(
            Cmd.UNIT, UNIT, Phase.CONTEXT, Cause.SOFTMAX, ready,
            count=kernel.softmax_tck(stage.queries * chunk[1]), signal=True,
        )  # fmt: skip
        waits = [Wait(finished, 0, Cause.SOFTMAX)]
        if len(self._sent) >= self._slots:
            read = self._burst_read if kernel.pim.pipelining else self._sum_ready
            waits.append(Wait(self._multiplied[len(self._sent) - self._slots], read, Cause.COMPUTE))
        self._sent.append(
            add(
                Cmd.PIM_WR_SB, OUTER, Phase.CONTEXT, Cause.STREAM, *waits,
                count=groups * kernel.bursts(slots * stage.queries, ELEMENT_BYTES), slot=len(self._sent),
                first=stage.first + chunk[0], signal=True,
            )
        )  # fmt: skip

    def _chunks(self, stage: Stage) -> list[list[Chunk]]:
        """Chunks of a stage, row by row."""
        kernel = self.kernel
        step = kernel.chunk_slots * kernel.geometry.bank_groups
        rows = []
        for first in range(0, stage.tokens, kernel.row_tokens):
            end = min(first + kernel.row_tokens, stage.tokens)
            rows.append([(inside, min(step, end - inside)) for inside in range(first, end, step)])
        return rows

    def _open(self, stage: Stage, phase: Phase, kind: str, first: int, last: bool) -> None:
        """Open a row of all banks; write the new token where it belongs there."""
        at, pim = self.kernel.geometry, self.kernel.pim
        self.rows.open(phase, stage.head, kind, (stage.first + first) // at.k_row_tokens)
        if not (last and stage.appends):
            return
        token = stage.first + stage.tokens - 1
        _, banks, column = at.places(token)
        written = 0
        for bank in banks:
            written = self.program.add(
                Cmd.WR, INNER, Phase.APPEND, Cause.WRITE, count=at.token_columns, bank=bank, column=column,
                row=self.rows.current, first=token, signal=True,
            )  # fmt: skip
        turn = pim.wl_tck + pim.bl_tck + pim.wtr_l_tck
        self.program.add(Cmd.NOP, INNER, Phase.APPEND, Cause.WRITE, Wait(written, turn, Cause.WRITE))

    def _multiply(self, stage: Stage, phase: Phase, chunk: Chunk, number: int, waits: list[Wait]) -> int:
        """MACs of a chunk of the open row; returns the event of the last."""
        at, kernel = self.kernel.geometry, self.kernel
        for wait in waits[:-1]:
            self.program.add(Cmd.NOP, INNER, phase, wait.cause, wait)
        passes = kernel.passes(stage.queries)
        slot = chunk[0] // at.bank_groups % at.k_slots
        return self.program.add(
            Cmd.PIM_MAC, INNER, phase, Cause.COMPUTE, *waits[-1:],
            count=-(-chunk[1] // at.bank_groups) * at.token_columns * at.unit_banks * passes,
            column=slot * at.token_columns, column_hold=passes, row=self.rows.current, slot=number,
            first=stage.first + chunk[0], signal=True,
        )  # fmt: skip

    def _finish(self) -> None:
        """Wait for the last outputs, close all rows, refresh if one is due."""
        pim, add = self.kernel.pim, self.program.add
        waits = (
            Wait(self._drained, self._collected + pim.rank_pu_latency_tck, Cause.COLLECT),
            Wait(self.rows.closed, pim.rp_tck, Cause.ROW),
        )
        add(Cmd.NOP, INNER, Phase.OUTPUT, Cause.COLLECT, *waits)
        add(Cmd.REF, INNER, Phase.OUTPUT, Cause.REFRESH)
        self._begin = add(Cmd.NOP, INNER, Phase.OUTPUT, Cause.REFRESH, signal=True)


def _nothing() -> None:
    """Nothing is early."""

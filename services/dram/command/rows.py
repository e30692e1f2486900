"""Opening and closing rows, and what is written to them before a head group attends."""

from collections.abc import Callable, Sequence

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import INNER, Cause, Phase, Program, Wait

#: What a row holds: (head group in order of the call, "K", "V" or another word, row block of it).
RowName = tuple[int, str, int]
#: Writes the row of (first token, tokens).
WriteRow = Callable[[int, int], None]


class Rows:
    """Rows of one program: each is the same row of all banks.

    Attributes:
        names: by the number that runs carry. current: number of the open one. closed: event of the last PREA.
    """

    def __init__(self, kernel: Kernel, program: Program) -> None:
        self._kernel = kernel
        self._program = program
        self.names: list[RowName] = []
        self.current = 0
        self.closed = 0

    def open(self, phase: Phase, group: int, kind: str, block: int) -> None:
        """Refresh if one is due, then open a row of all banks."""
        self._program.add(Cmd.REF, INNER, phase, Cause.REFRESH)
        self._activate(phase, Cause.ROW, (group, kind, block), self._kernel.geometry.banks)

    def close(self, phase: Phase, cause: Cause = Cause.ROW, *waits: Wait) -> None:
        """Close all rows."""
        self.closed = self._program.add(Cmd.PREA, INNER, phase, cause, *waits, signal=True)

    def through(
        self, tokens: int, row_tokens: int, write: WriteRow, events: Sequence[list[int]] = (), slots: int = 0
    ) -> None:
        """Write row after row; once two of them are alike, the other whole ones follow from them.

        Args:
            write: writes a row's tokens, given the first one and how many; called in order.
            events: lists that it appends events to, one for each chunk.
            slots: chunks after which a buffer's slots are used again. Rows before that are alike too, but
                they wait for no slot, and those that followed from them would not either.
        """
        whole, row = tokens // row_tokens, 0
        marks = []
        chunks: list[int] = []
        while row * row_tokens < tokens:
            marks.append(self._program.mark)
            sizes = [len(of) for of in events]
            chunks.append(sizes[0] if sizes else 0)
            write(row * row_tokens, min(row_tokens, tokens - row * row_tokens))
            row += 1
            if not 2 <= row < whole or chunks[-2] < slots:
                continue
            shift = self._program.repeat(marks[-2], marks[-1], whole - row)
            if not shift:
                continue
            counts = [len(of) - size for of, size in zip(events, sizes, strict=True)]
            for _ in range(whole - row):
                for of, added in zip(events, counts, strict=True):
                    of.extend([event + shift for event in of[len(of) - added :]])
                group, kind, block = self.names[-1]
                self.names.append((group, kind, block + 1))
                self.closed += shift
            self.current = len(self.names) - 1
            row = whole

    def append(self, token: int, group: int, *waits: Wait) -> None:
        """Write a token's K and V where the geometry says; first copy them where a processor re-lays out."""
        at, add = self._kernel.geometry, self._program.add
        if self._kernel.pim.relayout == "cpu":
            self._copies(group, *waits)
            waits = ()
        if self._kernel.pim.pu == "rank":
            self._append_bursts(token, group, *waits)
            return
        block, inside = divmod(token, at.v_row_tokens)
        column = inside // at.column_elements * at.bank_dims
        self._activate(Phase.APPEND, Cause.WRITE, (group, "V", block), at.banks, *waits)
        add(
            Cmd.WR, INNER, Phase.APPEND, Cause.WRITE, count=at.units * at.bank_dims,
            bank=at.bank_of(0, column), bank_span=at.units, column=column, column_hold=at.units,
            row=self.current, first=token,
        )  # fmt: skip
        self.close(Phase.APPEND, Cause.WRITE)
        block, unit, column = at.k_place(token)
        bank = at.bank_of(unit, column)
        self._activate(Phase.APPEND, Cause.WRITE, (group, "K", block), 1, bank=bank)
        add(
            Cmd.WR, INNER, Phase.APPEND, Cause.WRITE, count=at.token_columns, bank=bank, column=column,
            row=self.current, first=token,
        )  # fmt: skip
        self.close(Phase.APPEND, Cause.WRITE)

    def no_append(self, group: int, wait: Wait) -> None:
        """What comes in place of `append` where the new token lies on another rank: at most a copy of q."""
        if self._kernel.pim.relayout == "cpu":
            self._copies(group, wait, new=0)
            return
        self._program.add(Cmd.NOP, INNER, Phase.APPEND, wait.cause, wait)

    def host_transfer(self) -> None:
        """What the host writes to this rank between score and context."""
        kernel = self._kernel
        bursts = -(-kernel.pim.host_transfer_bytes // kernel.rank_burst_bytes)
        self._bursts(Cmd.WR, bursts, Phase.HOST, Cause.HOST, (0, "host", 0))

    def _copies(self, group: int, *waits: Wait, new: int = 2) -> None:
        """The processor reads q, and k and v of a new token, in one layout and writes them in the other."""
        at = self._kernel.geometry
        elements = at.heads * (at.queries + new) * at.head_size
        bursts = -(-2 * elements // self._kernel.rank_burst_bytes)
        name = (group, "staged", 0)
        self._bursts(Cmd.RD, bursts, Phase.APPEND, Cause.RELAYOUT, name, *waits)
        self._bursts(Cmd.WR, bursts, Phase.APPEND, Cause.RELAYOUT, name)

    def _append_bursts(self, token: int, group: int, *waits: Wait) -> None:
        """K and V as the host writes them: from burst to burst, bank after bank, then the next column."""
        at, bursts = self._kernel.geometry, self._kernel.token_bursts
        block, inside = divmod(token, self._kernel.row_tokens)
        first = inside * bursts
        bank = first % at.banks
        for kind in ("K", "V"):
            whole = bank + bursts > at.banks
            banks = (at.banks, 0) if whole else (bursts, bank)
            self._activate(Phase.APPEND, Cause.WRITE, (group, kind, block), banks[0], *waits, bank=banks[1])
            done = 0
            while done < bursts:
                column, bank_now = divmod(first + done, at.banks)
                sweeps = 0 if bank_now else (bursts - done) // at.banks * at.banks
                count = sweeps or min(at.banks - bank_now, bursts - done)
                self._program.add(
                    Cmd.WR, INNER, Phase.APPEND, Cause.WRITE, count=count, bank=bank_now,
                    bank_span=min(count, at.banks), column=column, column_hold=at.banks, row=self.current,
                    first=done,
                )  # fmt: skip
                done += count
            self.close(Phase.APPEND, Cause.WRITE)
            waits = ()

    def _bursts(
        self, command: Cmd, count: int, phase: Phase, cause: Cause, name: tuple[int, str, int], *waits: Wait
    ) -> None:
        """Bursts to or from one bank of each group in turn, row by row."""
        at = self._kernel.geometry
        most = at.bank_groups * at.row_columns
        for first in range(0, count, most):
            if first:  # a long transfer may not keep the rank from refreshing
                self._program.add(Cmd.REF, INNER, phase, Cause.REFRESH)
            self._activate(phase, cause, name, at.bank_groups, *waits)
            self._program.add(
                command, INNER, phase, cause, count=min(most, count - first), bank_span=at.bank_groups,
                column_hold=at.bank_groups, row=self.current, first=first,
            )  # fmt: skip
            self.close(phase, cause)
            waits = ()

    def _activate(
        self, phase: Phase, cause: Cause, name: tuple[int, str, int], banks: int, *waits: Wait, bank: int = 0
    ) -> None:
        self.current = len(self.names)
        self.names.append(name)
        whole = banks == self._kernel.geometry.banks
        if whole and self._kernel.pim.all_bank_faw == "exempt":
            self._program.add(Cmd.ACTA, INNER, phase, cause, *waits, row=self.current)
            return
        self._program.add(
            Cmd.ACT, INNER, phase, cause, *waits, count=banks, bank=bank, bank_span=banks, row=self.current
        )

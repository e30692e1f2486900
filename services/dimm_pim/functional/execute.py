"""Executes a call's command stream on the bytes of a rank: attention as its units do it.

    K  --PIM_MAC-->  result buffers  --PIM_RD_RB-->  rank unit: add, softmax
    V  --PIM_MAC-->  result buffers  --PIM_RD_RB-->  rank unit: outputs
            ^ shared buffers  <--PIM_WR_SB--  Q, then S of the rank unit

`Call` keeps what holds for both places of the units: rows that open and close, and the order of effects.
Nothing is looked up by what a command should mean: a PIM_MAC reads the rows that are open, at the column on
the bus.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.services.dimm_pim.functional.bank_unit import BankUnits
from l3sim.services.dimm_pim.functional.effects import Effect, effects_of, unit_times
from l3sim.services.dimm_pim.functional.memory import Bytes, Chips
from l3sim.services.dimm_pim.functional.numeric import Halves, Sums
from l3sim.services.dimm_pim.functional.operands import Part, parts_of
from l3sim.services.dimm_pim.functional.rank_unit import RankUnit
from l3sim.services.dimm_pim.functional.relayout import PimLayout
from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import Field, Phase
from l3sim.services.dram.command.result import Outcome

CLOSED = -1
#: What a row holds, as the program says it -> which row it is.
RowOf = Callable[[tuple[int, str, int]], int]


@dataclass(frozen=True)
class NewToken:
    """What one head group attends with.

    Attributes:
        tokens: its context, the new token included.
        q: shape (heads, queries, head size). k, v: of the new token, shape (heads, head size); None where it
            lies on another rank. FP16.
    """

    tokens: int
    q: Halves
    k: Halves | None
    v: Halves | None


class Call(ABC):
    """One attend call on one rank.

    Args:
        row_of: which row the program's row names are.
        groups: in order of the call.
    """

    def __init__(
        self, kernel: Kernel, chips: Chips, row_of: RowOf, outcome: Outcome, groups: Sequence[NewToken]
    ) -> None:
        self.kernel, self.groups = kernel, groups
        self._chips, self._outcome = chips, outcome
        self._rows = [row_of(name) for name in outcome.rows]
        self._runs = outcome.program.tolist()
        self._parts = parts_of(kernel, outcome.program, outcome.rows, [group.tokens for group in groups])
        self._open = [CLOSED] * kernel.geometry.banks
        self._unit_begins = {run: begin for run, begin, _ in unit_times(outcome)}
        self.units = [RankUnit(kernel.geometry, kernel.segment_tokens, group.tokens) for group in groups]

    def run(self) -> list[RankUnit]:
        """Execute the stream; the unit of each group, which has its output.

        Raises:
            InvariantBroken: a command uses data before they are there, or a bank with no row open.
        """
        # An overflow to infinity, and no number out of it, is what the units would give.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for when, effect, run, number in effects_of(self.kernel.pim, self._outcome):
                line, part = self._runs[run], self._parts[run]
                if effect == Effect.ISSUED:
                    self._issued(when, line, part, number)
                elif effect == Effect.WORKED:
                    self.worked(self._unit_begins[run], line, part)
                else:
                    self.burst(effect, when, line, part, number)
        return self.units

    @abstractmethod
    def write(self, line: list[int], part: Part, number: int, bank: int, column: int) -> None:
        """One WR of a new token's K or V."""

    @abstractmethod
    def other(self, when: int, line: list[int], part: Part, number: int) -> None:
        """Any command that neither opens nor closes rows nor writes."""

    @abstractmethod
    def worked(self, begin: int, line: list[int], part: Part) -> None:
        """The rank's unit has finished one piece of work."""

    @abstractmethod
    def burst(self, effect: Effect, when: int, line: list[int], part: Part, number: int) -> None:
        """A later effect of a command than its issue."""

    def bank_row(self, bank: int) -> Bytes:
        """The row block whose row a bank has open."""
        if self._open[bank] == CLOSED:
            raise InvariantBroken(f"bank {bank} was used with no row open")
        return self._chips.row(self._open[bank])

    def all_banks(self, column: int) -> Bytes:
        """What all banks read at a column, shape (chips, banks, column bytes)."""
        if len(set(self._open)) == 1:
            return np.ascontiguousarray(self.bank_row(0)[:, :, column])
        banks = range(self.kernel.geometry.banks)
        return np.stack([self.bank_row(bank)[:, bank, column] for bank in banks], axis=1)

    def _issued(self, when: int, line: list[int], part: Part, number: int) -> None:
        command = line[Field.COMMAND]
        bank = line[Field.BANK] + number % line[Field.BANK_SPAN]
        if command == Command.ACT:
            self._open[bank] = self._rows[line[Field.ROW]]
        elif command == Command.ACTA:
            self._open = [self._rows[line[Field.ROW]]] * len(self._open)
        elif command == Command.PRE:
            self._open[bank] = CLOSED
        elif command == Command.PREA:
            self._open = [CLOSED] * len(self._open)
        elif command == Command.WR:
            # What the host writes in between, and the processor's copies, are no part of the call.
            if self._outcome.rows[line[Field.ROW]][1] in ("K", "V"):
                column = line[Field.COLUMN] + number // line[Field.COLUMN_HOLD]
                self.write(line, part, number, bank, column)
        elif command != Command.REF:
            self.other(when, line, part, number)

    def kind(self, line: list[int]) -> str:
        """What the row of a run holds."""
        return self._outcome.rows[line[Field.ROW]][1]


class BankCall(Call):
    """Units at the banks."""

    def __init__(
        self, kernel: Kernel, chips: Chips, row_of: RowOf, outcome: Outcome, groups: Sequence[NewToken]
    ) -> None:
        super().__init__(kernel, chips, row_of, outcome, groups)
        layout = PimLayout(kernel.geometry)
        self._banks = BankUnits(kernel)
        #: New K and V of the head groups whose token lies here.
        self._new_k = {
            at: layout.k_columns(new.k[None])[0] for at, new in enumerate(groups) if new.k is not None
        }
        self._new_v = {
            at: layout.v_elements(new.v[None])[0] for at, new in enumerate(groups) if new.v is not None
        }
        self._q = [self._query_bursts(layout, group) for group in groups]
        #: Columns on their way from the banks to their units.
        self._read: deque[Bytes] = deque()
        #: Sums in the rank's unit, and the cycle at which the last of them arrives.
        self._collected: dict[tuple[int, Part], Sums] = {}
        self._arrival: dict[tuple[int, Part], int] = {}
        #: Finished S, by what is streamed, shape (quads, queries, chips, elements).
        self._stream: dict[Part, Halves] = {}

    def write(self, line: list[int], part: Part, number: int, bank: int, column: int) -> None:
        """See Call.write."""
        at, row = self.kernel.geometry, self.bank_row(bank)
        if self.kind(line) == "K":
            row[:, bank, column] = self._new_k[part.group][:, number]
            return
        element = (self.groups[part.group].tokens - 1) % at.column_elements
        if element == 0:
            row[:, bank, column] = 0
        slot, of_bank = divmod(number, at.banks)
        row[:, bank, column, 2 * element : 2 * element + 2] = self._new_v[part.group][:, of_bank, slot]

    def other(self, when: int, line: list[int], part: Part, number: int) -> None:
        """See Call.other."""
        command = line[Field.COMMAND]
        if command == Command.PIM_MAC:
            self._read.append(self.all_banks(line[Field.COLUMN] + number // line[Field.COLUMN_HOLD]))
        elif command == Command.PIM_RD_RB:
            self._collect(when, line, part, number)
        elif command not in (
            Command.PIM_WR_SB,
            Command.RD,
        ):  # the one has its effect later; staged bytes are read
            raise InvariantBroken(f"attention has no use for {Command(command).name}")

    def burst(self, effect: Effect, when: int, line: list[int], part: Part, number: int) -> None:
        """See Call.burst."""
        if effect == Effect.MULTIPLIED:
            self._multiply(when, line, part, number)
            return
        query = line[Field.PHASE] == Phase.SCORE
        cells = self._banks.query_cells(number)
        if not query:
            cells = self._banks.stream_cells(line[Field.SLOT], number)
        if effect == Effect.LOST:
            self._banks.shared[:, cells] = np.nan
        elif query:
            self._banks.shared[:, cells] = self._q[part.group][:, number]
        else:
            if part not in self._stream:
                raise InvariantBroken(f"S of {part} was streamed before it was finished")
            quad, of = divmod(number, part.queries)
            self._banks.shared[:, cells] = self._stream[part][quad, of]

    def worked(self, begin: int, line: list[int], part: Part) -> None:
        """See Call.worked."""
        kernel, at, unit = self.kernel, self.kernel.geometry, self.units[part.group]
        phase = line[Field.PHASE]
        if phase == Phase.CONTEXT:
            quads = -(-part.tokens // at.column_elements)
            room = np.zeros((quads * at.column_elements, at.heads, part.queries), dtype=np.float16)
            room[: part.tokens] = unit.weights(part.first, part.tokens)[
                :, :, part.query : part.query + part.queries
            ]
            heads = room.reshape(quads, at.column_elements, at.heads, part.queries).transpose(0, 3, 2, 1)
            self._stream[part] = np.repeat(heads, at.chips_per_head, axis=2)
            return
        if self._arrival[phase, part] > begin:
            raise InvariantBroken(f"the rank's unit began with sums of {part} before they had arrived")
        sums = self._collected.pop((phase, part))
        if phase == Phase.SCORE:
            slots = sums[:, :, : kernel.score_chunk * at.queries]
            slots = slots.reshape(at.chips, at.banks, kernel.score_chunk, at.queries)
            tokens = slots.transpose(2, 1, 0, 3).reshape(-1, at.heads, at.chips_per_head, at.queries)
            unit.scores(part.first, tokens[: part.tokens])
            return
        dims = sums[:, :, : at.bank_dims * part.queries]
        dims = dims.reshape(at.heads, at.chips_per_head, at.banks, at.bank_dims, part.queries)
        dims = dims.transpose(1, 3, 2, 0, 4).reshape(at.head_size, at.heads, part.queries)
        unit.outputs(part.query, dims)

    def _query_bursts(self, layout: PimLayout, group: NewToken) -> Halves:
        """Q as bursts to each chip, query by query, shape (chips, bursts, elements)."""
        at = self.kernel.geometry
        columns = layout.k_columns(group.q.swapaxes(0, 1)).view("<f2").astype(np.float16, copy=False)
        return columns.swapaxes(0, 1).reshape(at.chips, -1, at.column_elements)

    def _multiply(self, when: int, line: list[int], part: Part, number: int) -> None:
        offset, of_pass = divmod(number, line[Field.COLUMN_HOLD])
        finished = when + self.kernel.pim.mac_latency_tck
        column, slot = self._read.popleft(), line[Field.SLOT]
        if line[Field.PHASE] == Phase.SCORE:
            self._banks.score(column, part, slot, offset, of_pass, finished)
        else:
            fresh = part.first % self.kernel.segment_tokens == 0
            self._banks.context(column, part, slot, offset, of_pass, finished, fresh=fresh)

    def _collect(self, when: int, line: list[int], part: Part, number: int) -> None:
        kernel, at = self.kernel, self.kernel.geometry
        phase = line[Field.PHASE]
        score = phase == Phase.SCORE
        whole = kernel.score_chunk * at.queries if score else at.bank_dims * part.queries
        key = (phase, part)
        if key not in self._collected:
            bursts = -(-whole // kernel.burst_sums)
            room = (at.chips, at.banks, bursts * kernel.burst_sums)
            self._collected[key] = np.full(room, np.nan, dtype=self._banks.width)
        bank = line[Field.BANK] + number % line[Field.BANK_SPAN]
        begin = (line[Field.COLUMN] + number // line[Field.COLUMN_HOLD]) * kernel.burst_sums
        base = self._banks.score_base(line[Field.SLOT]) if score else 0
        sums = self._banks.collect(bank, base + begin, kernel.burst_sums, when)
        self._collected[key][:, bank, begin : begin + sums.shape[1]] = sums
        self._arrival[key] = when + kernel.pim.cl_tck + kernel.pim.bl_tck

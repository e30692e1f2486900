"""Executes a call where the units sit at the rank (`pu: rank`): bursts of K and V as the host wrote them.

    K  --RD-->  rank unit: Q x K, softmax      V  --RD-->  rank unit: S x V

A burst that is read again for the next queries (N_cmr) brings the same bytes again; the unit keeps them.
"""

from collections.abc import Sequence

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.services.dimm_pim.functional.bank_unit import width_of
from l3sim.services.dimm_pim.functional.effects import Effect
from l3sim.services.dimm_pim.functional.execute import Call, NewToken, RowOf
from l3sim.services.dimm_pim.functional.memory import UNWRITTEN, Bytes, Chips
from l3sim.services.dimm_pim.functional.numeric import Halves, Sums, add_up
from l3sim.services.dimm_pim.functional.operands import Part
from l3sim.services.dimm_pim.functional.relayout import HostLayout
from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import Field, Phase
from l3sim.services.dram.command.result import Outcome


class RankCall(Call):
    """Units at the rank."""

    def __init__(
        self, kernel: Kernel, chips: Chips, row_of: RowOf, outcome: Outcome, groups: Sequence[NewToken]
    ) -> None:
        super().__init__(kernel, chips, row_of, outcome, groups)
        at = kernel.geometry
        self._width = width_of(kernel)
        self._layout = HostLayout(at, kernel.token_bursts)
        self._new = {
            (number, kind): self._layout.bursts(data[None])[0]
            for number, group in enumerate(groups)
            for kind, data in (("K", group.k), ("V", group.v))
            if data is not None
        }
        #: Bursts of the row that is being read.
        self._bursts = self._nothing()
        #: Scores, and the cycle at which the last burst for them arrives.
        self._scores: dict[Part, tuple[int, Sums]] = {}
        self._weights: dict[Part, Halves] = {}
        self._outputs: Sums = np.zeros((at.head_size, at.heads, at.queries), dtype=self._width)

    def write(self, line: list[int], part: Part, number: int, bank: int, column: int) -> None:
        """See Call.write."""
        bursts = self._new[part.group, self.kind(line)]
        self.bank_row(bank)[:, bank, column] = bursts[line[Field.FIRST] + number]

    def other(self, when: int, line: list[int], part: Part, number: int) -> None:
        """See Call.other."""
        if line[Field.COMMAND] != Command.RD:
            raise InvariantBroken(f"units at the rank have no use for {Command(line[Field.COMMAND]).name}")
        if line[Field.PHASE] == Phase.APPEND:
            return  # staged bytes
        bank = line[Field.BANK] + number % line[Field.BANK_SPAN]
        column = line[Field.COLUMN] + number // line[Field.COLUMN_HOLD]
        self._bursts[column, bank] = self.bank_row(bank)[:, bank, column]
        if number < line[Field.COUNT] - 1:
            return
        rows = self._bursts.reshape(-1, *self._bursts.shape[2:])[: part.tokens * self.kernel.token_bursts]
        tokens = self._layout.tokens(rows.reshape(part.tokens, -1, *rows.shape[1:]))
        self._bursts = self._nothing()
        if line[Field.PHASE] == Phase.SCORE:
            arrival = when + self.kernel.pim.cl_tck + self.kernel.pim.bl_tck
            self._scores[part] = arrival, self._score(tokens, self.groups[part.group].q)
        else:
            self._context(tokens, part)

    def worked(self, begin: int, line: list[int], part: Part) -> None:
        """See Call.worked."""
        unit = self.units[part.group]
        if line[Field.PHASE] == Phase.CONTEXT:
            self._weights[part] = unit.weights(part.first, part.tokens)
            return
        arrival, scores = self._scores.pop(part)
        if arrival > begin:
            raise InvariantBroken(f"the rank's unit began with K of {part} before it had arrived")
        unit.scores(part.first, scores)

    def burst(self, effect: Effect, when: int, line: list[int], part: Part, number: int) -> None:  # noqa: ARG002
        """See Call.burst."""
        raise InvariantBroken(f"units at the rank have no use for {Command(line[Field.COMMAND]).name}")

    def _nothing(self) -> Bytes:
        at = self.kernel.geometry
        return np.full((at.row_columns, at.banks, at.chips, at.column_bytes), UNWRITTEN, dtype=np.uint8)

    def _score(self, k: Halves, q: Halves) -> Sums:
        """Q x K, shape (tokens, heads, 1, queries)."""
        wide_k, wide_q = k.astype(self._width), q.astype(self._width)
        products = np.moveaxis(wide_k[:, :, None, :] * wide_q[None], -1, 0)
        return add_up(products)[:, :, None, :]

    def _context(self, v: Halves, part: Part) -> None:
        """S x V, added to the segment's outputs; the last row of a segment hands them on."""
        if part not in self._weights:
            raise InvariantBroken(f"V of {part} was read before S was finished")
        weights = self._weights.pop(part).astype(self._width)
        products = v.astype(self._width).transpose(0, 2, 1)[:, :, :, None] * weights[:, None]
        if part.first % self.kernel.segment_tokens == 0:
            self._outputs = np.zeros_like(self._outputs)
        self._outputs = self._outputs + add_up(products)
        end = part.first + part.tokens
        if end % self.kernel.segment_tokens == 0 or end == self.groups[part.group].tokens:
            self.units[part.group].outputs(0, self._outputs)

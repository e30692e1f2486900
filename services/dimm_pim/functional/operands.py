"""What each run of a program works on: which head group, which tokens, which queries.

The commands on the bus say banks, columns and buffer slots. The rest the rank's controller knows because it
laid the program down; here it is read off the program again, run by run, in program order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import Field, Phase
from l3sim.services.dram.command.rows import RowName
from l3sim.units import Int64s


@dataclass(frozen=True, slots=True)
class Part:
    """What one run works on.

    Attributes:
        group: head group, in order of the call.
        first, tokens: of the chunk, counted from the context's first token.
        query, queries: of the turn.
    """

    group: int = 0
    first: int = 0
    tokens: int = 0
    query: int = 0
    queries: int = 0


def parts_of(kernel: Kernel, program: Int64s, rows: Sequence[RowName], tokens: Sequence[int]) -> list[Part]:
    """The part of each run of a program, in its order; of runs that need none it means nothing.

    Args:
        tokens: of each head group, the new one included.
    """
    reader = _Reader(kernel, rows, tokens)
    runs = program.tolist()
    streamed, ahead = 0, []
    for run in reversed(runs):
        if run[Field.COMMAND] in (Command.PIM_WR_SB, Command.RD):
            streamed = run[Field.FIRST]
        ahead.append(streamed)
    return [reader.read(run, first) for run, first in zip(runs, reversed(ahead), strict=True)]


class _Reader:
    """Follows a program run by run."""

    def __init__(self, kernel: Kernel, rows: Sequence[RowName], tokens: Sequence[int]) -> None:
        self._kernel = kernel
        self._rows = rows
        self._tokens = tokens
        self._part = Part(queries=kernel.geometry.queries)

    def read(self, run: list[int], streamed: int) -> Part:
        """The part of the next run.

        Args:
            streamed: the token that the next stream to the chips, or from them, begins with.
        """
        command, phase, first = run[Field.COMMAND], run[Field.PHASE], run[Field.FIRST]
        if phase == Phase.APPEND and command == Command.WR:
            self._part = Part(self._rows[run[Field.ROW]][0], queries=self._kernel.geometry.queries)
        elif command == Command.PIM_WR_SB and phase == Phase.SCORE:
            self._part = Part(run[Field.ROW], queries=self._kernel.geometry.queries)
        elif command in (Command.PIM_MAC, Command.PIM_WR_SB, Command.RD) and phase in (
            Phase.SCORE,
            Phase.CONTEXT,
        ):
            if command == Command.RD and phase == Phase.SCORE:  # a group may begin so, without a new token
                self._part = replace(self._part, group=self._rows[run[Field.ROW]][0])
            self._chunk(first, phase)
        elif command == Command.UNIT and phase == Phase.CONTEXT:
            self._chunk(streamed, phase)  # the unit finishes S of what is streamed next
        elif phase == Phase.OUTPUT and command == Command.PIM_RD_RB:
            self._turn(first)
        part = self._part
        if phase == Phase.OUTPUT and command == Command.UNIT:
            self._turn((part.query + part.queries) % self._kernel.geometry.queries)
        return part

    def _chunk(self, first: int, phase: int) -> None:
        """Up to a whole chunk, within its row block and the context."""
        kernel, at = self._kernel, self._kernel.geometry
        if kernel.pim.pu == "rank":
            size = row = kernel.row_tokens
        elif phase == Phase.SCORE:
            size, row = kernel.score_chunk * at.banks, at.k_row_tokens
        else:
            size, row = kernel.context_chunk, at.v_row_tokens
        end = min(first + size, (first // row + 1) * row, self._tokens[self._part.group])
        part = replace(self._part, first=first, tokens=end - first)
        if phase == Phase.SCORE:
            part = replace(part, query=0, queries=at.queries)
        elif kernel.pim.pu == "bank" and part.queries > kernel.turn_queries:
            part = replace(part, query=0, queries=min(kernel.turn_queries, at.queries))
        self._part = part

    def _turn(self, query: int) -> None:
        queries = min(self._kernel.turn_queries, self._kernel.geometry.queries - query)
        self._part = replace(self._part, query=query, queries=queries)

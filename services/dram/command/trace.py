"""The commands of a call for people to read: one line each, runs of equal ones folded.

     cycle        ns  command    bank     row         column  slot  for
       247    154.38  PIM_WR_SB  all                              0  Q of head group 0
       258    161.25  ACT        g0.b0    0 K 0                      head group 0, tokens 0-63: score
       ...                       (14 ACT)

A line is made of the program's own fields, so it says which bytes a command touches. Work of the rank's unit
is no command; it is worked out from the events that it waits for, and shown among them as UNIT with its
cycles.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from l3sim.services.dram.command.commands import WHOLE_RANK, Command
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import NO_EVENT, UNIT, Field, Phase
from l3sim.services.dram.command.rows import RowName
from l3sim.units import Int64s

_OPENING = frozenset({Command.ACT, Command.ACTA})
_COLUMN = frozenset({Command.RD, Command.WR, Command.PIM_MAC, Command.PIM_LD_SB})
_BUFFERS = frozenset({Command.PIM_WR_SB, Command.PIM_MAC, Command.PIM_RD_RB})


@dataclass(frozen=True)
class Line:
    """A command, or work of the rank's unit.

    Attributes:
        cycle: in which it goes, tCK. run, of_run, last: which of equal commands it is.
        busy_tck: cycles of UNIT, 0 of a command. bank: "g1.b5" (bank group, bank), "all" or "".
        row: "0 K 2": head group of the call, what it holds, row block. column, slot: None where it has none.
        slot: of the shared buffer (PIM_WR_SB, and PIM_MAC of the context) or of the result buffer.
        why: what it is for.
    """

    cycle: int
    command: str
    run: int
    of_run: int
    last: bool
    busy_tck: int
    bank: str
    row: str
    column: int | None
    slot: int | None
    why: str

    def values(self, tck_ps: int) -> dict[str, Any]:
        """As JSON shows it."""
        shown = {key: value for key, value in asdict(self).items() if key not in {"run", "of_run", "last"}}
        return {"cycle": shown.pop("cycle"), "time_ns": self.cycle * tck_ps / 1000, **shown}


def lines_of(kernel: Kernel, program: Int64s, rows: Sequence[RowName], trace: Int64s) -> list[Line]:
    """Lines in order of their cycles.

    Args:
        program: runs, shape (runs, fields). rows: what the rows of the program hold.
        trace: (cycle, run, number in the run) of all commands, shape (n, 3).
    """
    lines = [_command(kernel, program[run], rows, cycle, run, i) for cycle, run, i in trace.tolist()]
    lines += [_unit(program[run], start, run) for run, start in _unit_starts(kernel, program, trace).items()]
    return sorted(lines, key=lambda line: line.cycle)


def folded(lines: Sequence[Line]) -> Iterator[Line | Counter[str]]:
    """First and last of each run; what is left out in between, by command."""
    left: Counter[str] = Counter()
    for line in lines:
        if line.of_run == 0 or line.last:
            if left:
                yield left
                left = Counter()
            yield line
        else:
            left[line.command] += 1


HEAD = f"{'cycle':>8} {'ns':>11}  {'command':<10} {'bank':<7} {'row':<12} {'column':>6} {'slot':>5}  for"


def text_of(line: Line | Counter[str], tck_ps: int) -> str:
    """One line of text."""
    if isinstance(line, Counter):
        return f"{'...':>8} {'':>11}  {', '.join(f'{count} {name}' for name, count in sorted(line.items()))}"
    column, slot = ("" if value is None else str(value) for value in (line.column, line.slot))
    why = f"{line.why}, {line.busy_tck} cycles" if line.busy_tck else line.why
    return (
        f"{line.cycle:>8} {line.cycle * tck_ps / 1000:>11.2f}  {line.command:<10} {line.bank:<7} "
        f"{line.row:<12} {column:>6} {slot:>5}  {why}"
    ).rstrip()


def _command(
    kernel: Kernel, run: Int64s, rows: Sequence[RowName], cycle: int, number: int, of_run: int
) -> Line:
    command = Command(run[Field.COMMAND])
    at = int(run[Field.BANK] + of_run % run[Field.BANK_SPAN])
    bank = f"g{at % kernel.geometry.bank_groups}.b{at}"
    if command in WHOLE_RANK:
        bank = "all" if command is not Command.REF else ""
    has_row = command in _OPENING | _COLUMN
    has_column = command in _COLUMN
    return Line(
        cycle=cycle,
        command=command.name,
        run=number,
        of_run=of_run,
        last=of_run == run[Field.COUNT] - 1,
        busy_tck=0,
        bank=bank,
        row=" ".join(map(str, rows[run[Field.ROW]])) if has_row and rows else "",
        column=int(run[Field.COLUMN] + of_run // run[Field.COLUMN_HOLD]) if has_column else None,
        slot=_slot(kernel, command, run),
        why=_why(command, run, rows),
    )


def _unit(run: Int64s, start: int, number: int) -> Line:
    phase = Phase(run[Field.PHASE])
    work = {Phase.SCORE: "exponentials", Phase.CONTEXT: "S finished", Phase.OUTPUT: "outputs added"}[phase]
    return Line(
        cycle=start, command="UNIT", run=number, of_run=0, last=True, busy_tck=int(run[Field.COUNT]),
        bank="", row="", column=None, slot=None, why=work,
    )  # fmt: skip


def _slot(kernel: Kernel, command: Command, run: Int64s) -> int | None:
    """The slot of the buffer that a command fills or empties."""
    phase = run[Field.PHASE]
    if command not in _BUFFERS or phase not in {Phase.SCORE, Phase.CONTEXT} or kernel.pim.pu == "rank":
        return None
    if phase == Phase.SCORE:
        return None if command is Command.PIM_WR_SB else int(run[Field.SLOT]) % kernel.result_slots
    return int(run[Field.SLOT]) % (kernel.shared_slots if kernel.pim.pipelining else 1)


def _why(command: Command, run: Int64s, rows: Sequence[RowName]) -> str:
    phase, first = Phase(run[Field.PHASE]), int(run[Field.FIRST])
    if command is Command.REF:
        return "refresh"
    if command is Command.PIM_WR_SB:
        return f"Q of head group {run[Field.ROW]}" if phase is Phase.SCORE else f"S from token {first}"
    if command is Command.PIM_MAC:
        return f"{'q k' if phase is Phase.SCORE else 's v'} from token {first}"
    if command is Command.PIM_RD_RB:
        return f"sums from token {first}" if phase is Phase.SCORE else f"outputs from query {first}"
    if command is Command.WR and phase is Phase.APPEND and rows[run[Field.ROW]][1] in {"K", "V"}:
        return f"the new token, {first}"
    if command is Command.RD and phase in {Phase.SCORE, Phase.CONTEXT}:
        return f"tokens from {first}"
    return phase.name.lower()


def _unit_starts(kernel: Kernel, program: Int64s, trace: Int64s) -> dict[int, int]:
    """Cycle in which each run of the rank's unit begins, as the engine serves them.

    The unit stands still while the rank refreshes, so this counts without refreshes, and adds them again.
    """
    cycles, runs, numbers = trace.T
    is_refresh = program[runs, Field.COMMAND] == Command.REF
    before = np.cumsum(is_refresh) - is_refresh
    quiet = cycles - before * kernel.pim.rfc_tck
    refreshed_at = quiet[is_refresh]
    events = {0: 0}
    for cycle, run, number in zip(quiet.tolist(), runs.tolist(), numbers.tolist(), strict=True):
        signal = int(program[run, Field.SIGNAL])
        if signal != NO_EVENT and number == program[run, Field.COUNT] - 1:
            events[signal] = cycle
    starts, free = {}, 0
    for run in np.flatnonzero(program[:, Field.QUEUE] == UNIT).tolist():
        waits = ((Field.WAIT_A, Field.DELAY_A), (Field.WAIT_B, Field.DELAY_B))
        start = free
        for wait, delay in waits:
            if program[run, wait] != NO_EVENT:
                start = max(start, events[int(program[run, wait])] + int(program[run, delay]))
        free = start + int(program[run, Field.COUNT])
        if program[run, Field.SIGNAL] != NO_EVENT:
            events[int(program[run, Field.SIGNAL])] = free
        starts[run] = start + int((refreshed_at <= start).sum()) * kernel.pim.rfc_tck
    return starts

"""Programs of a rank that is only memory: streams of reads or writes, and rows at random.

A burst takes all chips. Two sets of banks take turns: while the row of one is read, that of the other is
closed and the next one opened, so that opening is hidden.

    inner  | ACT set 0 | ACT set 1 |     PRE ACT set 0  |     PRE ACT set 1  | ...
    outer  |           | RD row of set 0 | RD row of set 1 | RD row of set 0 | ...

Successive bursts go to the banks of a set in turn. In different bank groups they come max(CCD_S, BL) apart,
in one group CCD_L. Rows at random are opened for one burst each. What bandwidth a rank has for them is known
from its timing, so they show that the constraints are those of DDR4.
"""

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.program import INNER, OUTER, Cause, Phase, Program, Wait

#: (first bank, how many).
Banks = tuple[int, int]


def stream(
    command: Cmd, sets: tuple[Banks, Banks], rows: int, columns: int, refresh_every: int = 0
) -> Program:
    """Read or write whole rows, the sets in turn.

    Args:
        command: RD or WR. rows: of both sets together. columns: bursts of a row of one bank.
        refresh_every: rows after which all are closed and a refresh is offered; 0: never.
    """
    program = Program()
    moved: list[int] = []
    opened: list[int] = []

    def open_row(row: int, fresh: bool) -> None:
        first, count = sets[row % 2]
        if not fresh:
            wait = Wait(moved[row - 2], 0, Cause.HOST)
            _add(program, Cmd.PRE, INNER, wait, count=count, bank=first, bank_span=count)
        opened.append(
            _add(program, Cmd.ACT, INNER, count=count, bank=first, bank_span=count, row=row, signal=True)
        )

    for begin in range(0, rows, refresh_every or rows):
        end = min(begin + (refresh_every or rows), rows)
        if begin:
            _add(program, Cmd.PREA, INNER, Wait(moved[-1], 0, Cause.HOST))
            _add(program, Cmd.REF, INNER)
        for row in range(begin, end):
            if row == begin:
                open_row(row, fresh=True)
            first, count = sets[row % 2]
            moved.append(
                _add(
                    program, command, OUTER, Wait(opened[row], 0, Cause.HOST), count=columns * count,
                    bank=first, bank_span=count, column_hold=count, row=row, signal=True,
                )
            )  # fmt: skip
            if row + 1 < end:
                open_row(row + 1, fresh=row == begin)
    return program


def random_rows(command: Cmd, banks: int, bursts: int, ahead: int) -> Program:
    """A row for each burst, banks in turn.

    Args:
        ahead: bursts by which a row is closed before its bank is opened again, at most banks - 1.
    """
    program = Program()
    moved: list[int] = []

    def close(burst: int) -> None:
        if banks <= burst < bursts:
            wait = Wait(moved[burst - banks], 0, Cause.HOST)
            _add(program, Cmd.PRE, INNER, wait, bank=burst % banks)

    for burst in range(bursts):
        close(burst + ahead)
        opened = _add(program, Cmd.ACT, INNER, bank=burst % banks, row=burst, signal=True)
        ready = Wait(opened, 0, Cause.HOST)
        moved.append(_add(program, command, OUTER, ready, bank=burst % banks, row=burst, signal=True))
    return program


def _add(program: Program, command: Cmd, queue: int, *waits: Wait, signal: bool = False, **where: int) -> int:
    return program.add(command, queue, Phase.HOST, Cause.HOST, *waits, signal=signal, **where)

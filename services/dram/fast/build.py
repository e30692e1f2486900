"""Makes an `AttendTable` with the command level, of as many periods as prove on larger calls that it goes on.

`python -m l3sim.services.dram.fast.build OUT < KERNEL` is how a device process has one made: it loads the
compiler, the device does not. KERNEL is the JSON of `table_cache`.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from l3sim.services.dram.command.columns import WIDTH, row_of
from l3sim.services.dram.command.commands import Command
from l3sim.services.dram.command.grouped import GroupedKernel
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import Cause, Phase
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.fast.build_grouped import grouped_table
from l3sim.services.dram.fast.table import AttendTable
from l3sim.specs.rank import RankConfig
from l3sim.units import Int64s

#: Periods that are tabled at least and at most.
LEAST, MOST = 3, 40
#: Share of a call by which a table may be wrong where the first two are not exact: a buffer that takes many
#: periods to be full slows all that follow by a few cycles each. Ours.
CLOSE = 0.002


def build(kernel: Kernel) -> AttendTable:
    """Table the command pattern of a kernel.

    Raises:
        ValueError: its pattern does not even nearly repeat within MOST periods, or a refresh takes longer
            than REFI.
    """
    pim = kernel.pim
    quiet = replace(kernel, pim=msgspec.structs.replace(pim, refresh=False))
    if isinstance(quiet, GroupedKernel):
        return _refreshed(grouped_table(quiet), pim)
    wrong = f"does not repeat within {MOST} row blocks"
    table: AttendTable | None = None
    for tried, table in enumerate(_candidates(quiet)):
        # Nearly right will do where four times the periods made none exact.
        wrong = _found_wrong(quiet, table, CLOSE if tried > 1 else 0.0)
        if not wrong:
            break
    if wrong or table is None:
        raise ValueError(f"the command pattern of {name_of(kernel)} {wrong}; use level command")
    return _refreshed(table, pim)


def _candidates(kernel: Kernel) -> Iterator[AttendTable]:
    """Tables of ever more periods, without refreshes."""
    limit, period = kernel.segment_tokens, kernel.row_tokens
    one, more = _rows(kernel, [1])[0], _rows(kernel, [limit + 1])[0]
    pair = attend(kernel, [1, 1]).values
    alone = attend(kernel, [1, 1], appends=[True, False]).values
    for base in _steady(kernel):
        slope = base[-period:] - base[-2 * period : -period] if len(base) > 2 * period else base[-period:]
        yield AttendTable(
            base=base,
            slope=slope,
            segment_tokens=limit,
            segment=more - one,
            saving=2 * one - pair,
            append=pair - alone,
            refresh=np.zeros_like(one),
            refi_tck=0,
            phase_tck=int(kernel.pim.refresh_phase * kernel.pim.refi_tck),
        )


def _refreshed(table: AttendTable, pim: RankConfig) -> AttendTable:
    """The same with refreshes."""
    if not pim.refresh:
        return table
    if pim.rfc_tck >= pim.refi_tck:
        raise ValueError(
            f"refreshing takes {pim.rfc_tck} of every {pim.refi_tck} tCK; nothing else would run"
        )
    alone = None if table.alone is None else _refreshed(table.alone, pim)
    return replace(table, refi_tck=pim.refi_tck, refresh=_refresh(pim), alone=alone)


def name_of(kernel: Kernel) -> str:
    """What people know a kernel by."""
    at = kernel.geometry
    return f"heads of {at.head_size} elements and {at.queries} queries over {at.chips_per_head} chips"


def _rows(kernel: Kernel, tokens: Sequence[int]) -> Int64s:
    return np.array([attend(kernel, [count]).values for count in tokens])


def _steady(kernel: Kernel) -> Iterator[Int64s]:
    """Rows of 0 to n tokens, where the last two periods grew alike or a segment is full; then twice as many.

    Growing alike is not enough where results pile up: a buffer may take many periods to be full.
    """
    period, least = kernel.row_tokens, LEAST
    base = np.zeros((1, WIDTH), dtype=np.int64)
    for periods in range(1, MOST + 1):
        first = len(base)
        if first > kernel.segment_tokens:
            yield base
            return
        base = np.concatenate([base, _rows(kernel, range(first, first + period))])
        if periods >= least:
            late, middle, early = (base[len(base) - i * period :][:period] for i in (1, 2, 3))
            if (late - middle == middle - early).all():
                yield base
                least = 2 * periods


def _found_wrong(kernel: Kernel, table: AttendTable, share: float) -> str:
    """Compare with calls that reach beyond the table; returns what is wrong, or nothing.

    Args:
        share: of a call that may be missing, beside two cycles a request.
    """
    period, limit = kernel.row_tokens, kernel.segment_tokens
    singles = [
        period * 7 + 3,
        period * 50 + period // 2,
        min(limit, 300 * period),
        limit + period + 5,
        2 * limit + 1,
    ]
    calls = [[count] for count in singles] + [[5, period + 1, 3 * period, 1], [singles[1], 1, singles[0]]]
    for tokens in calls:
        predicted, seen = table.call(np.array(tokens)).cycles, attend(kernel, tokens).cycles
        if abs(predicted - seen) > max(2 * len(tokens), share * seen):
            return f"does not go on: {tokens} take {seen}, not {predicted} tCK"
    return ""


def _refresh(pim: RankConfig) -> Int64s:
    """What one refresh adds: RFC, wherever it falls, and a command."""
    spent = np.zeros((len(Phase), len(Cause)), dtype=np.int64)
    spent[Phase.OUTPUT, Cause.REFRESH] = pim.rfc_tck
    commands = np.zeros(len(Command), dtype=np.int64)
    commands[Command.REF] = 1
    return row_of(spent, commands, 0, 0)


def main(arguments: Sequence[str]) -> int:
    """Build the table of the kernel on standard input into a file."""
    from l3sim.services.dram.fast.table_cache import kernel_from, save

    save(Path(arguments[0]), build(kernel_from(sys.stdin.buffer.read())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

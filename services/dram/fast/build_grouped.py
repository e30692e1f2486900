"""Makes the `AttendTable` of heads whose exponentials and S hide behind the next head's work.

What a head adds depends on its neighbours where they are short: it is tabled among equal ones, as a call of
four less one of three, and a fixed part is that of two long heads. A head that comes alone has a table of
its own. So calls of one head are exact, those of long ones of one query as well; docs/hbm-pim.md has the
errors of the others.
"""

import numpy as np

from l3sim.services.dram.command.columns import WIDTH
from l3sim.services.dram.command.grouped import GroupedKernel
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.fast.table import AttendTable
from l3sim.units import Int64s

#: Row blocks that are tabled, and those of the long heads that the fixed part comes from.
PERIODS, LONG = 4, 4


def grouped_table(kernel: GroupedKernel) -> AttendTable:
    """The table of a kernel, without refreshes; `alone` goes to the end of a segment."""
    period, limit = kernel.row_tokens, kernel.segment_tokens
    last = min(PERIODS * period, limit)
    alone = np.concatenate(
        [np.zeros((1, WIDTH), dtype=np.int64), [_call(kernel, [tokens]) for tokens in range(1, last + 1)]]
    )
    # Tokens of a slot take the same columns, so that one of each slot is enough.
    slot = kernel.geometry.bank_groups
    added = np.zeros((last + 1, WIDTH), dtype=np.int64)
    for first in range(1, last + 1, slot):
        added[first : first + slot] = _added(kernel, min(first + slot - 1, last))
    long = min(LONG * period, limit)
    fixed = _call(kernel, [long, long]) - 2 * added[long]
    over = limit + slot
    return _table(
        kernel,
        np.concatenate([added[:1], added[1:] + fixed]),
        fixed,
        _added(kernel, over) - added[slot],
        _table(kernel, alone, np.zeros(WIDTH, dtype=np.int64), np.zeros(WIDTH, dtype=np.int64), None),
    )


def _table(
    kernel: GroupedKernel, base: Int64s, saving: Int64s, segment: Int64s, alone: AttendTable | None
) -> AttendTable:
    period = kernel.row_tokens
    earlier = base[-2 * period : -period] if len(base) > 2 * period else 0
    pim = kernel.pim
    return AttendTable(
        base=base,
        slope=base[-period:] - earlier,
        segment_tokens=kernel.segment_tokens,
        segment=segment,
        saving=saving,
        append=np.zeros(WIDTH, dtype=np.int64),  # no head is striped
        refresh=np.zeros(WIDTH, dtype=np.int64),
        refi_tck=0,
        phase_tck=int(pim.refresh_phase * pim.refi_tck),
        alone=alone,
    )


def _added(kernel: GroupedKernel, tokens: int) -> Int64s:
    """What a head adds to equal ones."""
    return _call(kernel, [tokens] * 4) - _call(kernel, [tokens] * 3)


def _call(kernel: GroupedKernel, tokens: list[int]) -> Int64s:
    return attend(kernel, tokens).values

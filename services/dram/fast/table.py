"""What an attend call on one rank takes, from a table of its command pattern.

The pattern of a head group repeats with every row block of K and V, so what it takes is exact from a table of
the first few row blocks:

    tokens   1 ........ n-P | n-P+1 ...... n | n+1 ....... n+P | ...
             tabled         | tabled         | + slope         | + 2 slopes

with the period P = `len(slope)` and slope = the last tabled period less the one before. Contexts longer than
a segment (what the rank's unit has room for) add `segment` for each whole one. A call over several head
groups is

    sum over the groups  -  (groups - 1) * saving  +  refreshes * refresh

of which those whose new token lies on another rank are without `append`. Here `saving` is what a group gains
by opening its rows while the outputs of the one before are collected. A refresh falls due every REFI from the
start of the call and costs `refresh`, which is RFC. With a work of W cycles, the k-th is taken iff
W + (k-1) RFC >= k REFI - phase, so there are floor((W - RFC + phase) / (REFI - RFC)) of them: a call ends
only when none is due.

Where a group's exponentials and S hide behind the next one's work (`command/grouped.py`), a group that
comes alone takes longer than it adds to others: then `alone` is the table of single groups of a segment,
and this one that of several, each among equal ones.

All columns add up in this way (`command/columns.py`), so counters and energy come from the same table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from l3sim.services.dram.command.columns import Took, cycles_of
from l3sim.units import Int64s


@dataclass(frozen=True)
class AttendTable:
    """Rows of columns; see the module.

    Attributes:
        base: of 0 to n tokens, shape (n + 1, WIDTH). slope: shape (P, WIDTH). segment_tokens: of a segment.
        segment: what a whole one adds, shape (WIDTH,). saving, append, refresh: shape (WIDTH,). refi_tck: 0
        when nothing is refreshed. phase_tck: passed at the start. alone: of a call over one group of a
        segment at most, where that differs.
    """

    base: Int64s
    slope: Int64s
    segment_tokens: int
    segment: Int64s
    saving: Int64s
    append: Int64s
    refresh: Int64s
    refi_tck: int
    phase_tck: int
    alone: "AttendTable | None" = None

    @cached_property
    def _cycles(self) -> tuple[Int64s, Int64s, int]:
        return cycles_of(self.base), cycles_of(self.slope), int(cycles_of(self.segment))

    @cached_property
    def saving_tck(self) -> int:
        """What each head group after the first saves."""
        return int(cycles_of(self.saving))

    @cached_property
    def append_tck(self) -> int:
        """What writing a new token takes, in a head group after the first: where `cpu` re-lays out, less."""
        return int(cycles_of(self.append))

    @cached_property
    def refresh_tck(self) -> int:
        """What a refresh costs."""
        return int(cycles_of(self.refresh))

    def groups(self, tokens: Int64s) -> Int64s:
        """Rows of single head groups, not refreshed: shape (...) to (..., WIDTH).

        Raises:
            ValueError: a count of tokens is below 1.
        """
        at, periods, segments = self._where(tokens)
        first = len(self.base) - len(self.slope)
        rows = self.base[at] + segments[..., None] * self.segment
        rows += periods[..., None] * self.slope[np.maximum(at - first, 0)]
        return rows

    def group_tck(self, tokens: Int64s) -> Int64s:
        """Cycles of single head groups, not refreshed: any shape."""
        at, periods, segments = self._where(tokens)
        base, slope, segment = self._cycles
        first = len(base) - len(slope)
        cycles: Int64s = base[at] + periods * slope[np.maximum(at - first, 0)] + segments * segment
        return cycles

    def refreshes(self, work_tck: Int64s) -> Int64s:
        """Refreshes within so much work: any shape."""
        if self.refi_tck == 0:
            return np.zeros_like(work_tck)
        cost = self.refresh_tck
        return np.maximum((work_tck - cost + self.phase_tck) // (self.refi_tck - cost), 0)

    def call(self, tokens: Int64s, appends: Sequence[bool] | None = None) -> Took:
        """One attend call over head groups of these tokens each, shape (groups,).

        Args:
            appends: whether the new token of each lies here; None: of all.
        """
        if len(tokens) == 1 and self.alone is not None and tokens[0] <= self.segment_tokens:
            return self.alone.call(tokens, appends)
        work = self.groups(tokens).sum(axis=0) - (len(tokens) - 1) * self.saving
        work = work - (0 if appends is None else len(tokens) - sum(appends)) * self.append
        refreshes = self.refreshes(cycles_of(work))
        return Took(work + refreshes * self.refresh)

    def _where(self, tokens: Int64s) -> tuple[Int64s, Int64s, Int64s]:
        """(row of `base`, slopes to add, whole segments) of counts of tokens."""
        if tokens.size and int(tokens.min()) < 1:
            raise ValueError(f"a head group attends at least 1 token, got {int(tokens.min())}")
        segments = (tokens - 1) // self.segment_tokens
        inside = tokens - segments * self.segment_tokens
        beyond = np.maximum(inside - (len(self.base) - 1), 0)
        periods = -(-beyond // len(self.slope))
        return inside - periods * len(self.slope), periods, segments

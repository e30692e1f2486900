"""Runs attention on one rank at level `command`, and says what it took."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from l3sim.services.dram.command import memory_map as at
from l3sim.services.dram.command.attention import Attention
from l3sim.services.dram.command.columns import Took, row_of
from l3sim.services.dram.command.commands import ISSUED, Command
from l3sim.services.dram.command.constraints import ACTIVATIONS_A_WINDOW, constraints_of
from l3sim.services.dram.command.engine import run_program
from l3sim.services.dram.command.grouped import GroupedKernel
from l3sim.services.dram.command.grouped_attention import GroupedAttention
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import Cause, Field, Phase, Program
from l3sim.services.dram.command.rank_attention import RankAttention
from l3sim.services.dram.command.rows import RowName
from l3sim.specs.rank import RankConfig
from l3sim.units import Int64s

LEVELS = {"rank": 0, "group": 1, "bank": 2}
_SAYS = {
    at.ROW_OPEN: "a bank was to be opened, or refreshed, with a row open",
    at.ROW_CLOSED: "a column was to be read or written with no row open",
    at.STUCK: "its queues wait for each other",
}


@dataclass(frozen=True)
class Outcome(Took):
    """What one attend call on one rank took.

    Attributes:
        refreshes: taken.
        trace: (cycle, run, number in the run) of the first commands, shape (n, 3).
        program, rows: what was run, and what the rows hold.
    """

    refreshes: int
    trace: Int64s
    program: Int64s
    rows: Sequence[RowName]


def attention_program(
    kernel: Kernel, tokens: Sequence[int], appends: Sequence[bool] | None = None
) -> tuple[Program, Sequence[RowName]]:
    """The program of one attend call: head groups over these tokens each, the new ones included.

    Args:
        appends: whether the new token of each lies here, and not on another rank; None: of all.

    Raises:
        ValueError: no group, or one without tokens.
    """
    if not tokens or min(tokens) < 1:
        raise ValueError(f"every head group attends at least 1 token, got {list(tokens)}")
    writer = _writer(kernel)
    return writer.call(tokens, [True] * len(tokens) if appends is None else appends), writer.rows.names


def _writer(kernel: Kernel) -> Attention | GroupedAttention | RankAttention:
    if isinstance(kernel, GroupedKernel):
        return GroupedAttention(kernel)
    return RankAttention(kernel) if kernel.pim.pu == "rank" else Attention(kernel)


def attend(
    kernel: Kernel, tokens: Sequence[int], traced: int = 0, appends: Sequence[bool] | None = None
) -> Outcome:
    """Run head groups one after the other on one rank.

    Args:
        tokens: of each head group, the new one included.
        traced: the first commands to record, at most.
        appends: as for `attention_program`.
    """
    program, rows = attention_program(kernel, tokens, appends)
    # Exponentials of the scores, and their scaling.
    elements = 2 * kernel.geometry.heads * kernel.geometry.queries * sum(tokens)
    return execute(kernel.pim, program, rows, traced, elements)


def execute(
    pim: RankConfig, program: Program, rows: Sequence[RowName] = (), traced: int = 0, elements: int = 0
) -> Outcome:
    """Run any program.

    Raises:
        ValueError: the program is wrong: a bank is in the wrong state, or the queues are stuck.
    """
    ops = program.array()
    order = np.argsort(ops[:, Field.QUEUE], kind="stable")
    events = np.full(program.events, at.UNKNOWN, dtype=np.int64)
    events[0] = 0
    runs = at.Runs(ops, order, _queues(ops[order, Field.QUEUE]), events)
    rank = _at_first(pim)
    tally = at.Tally(
        counts=np.zeros(len(Command), dtype=np.int64),
        spent=np.zeros((len(Phase), len(Cause)), dtype=np.int64),
        trace=np.zeros((traced, 3), dtype=np.int64),
    )
    fields = *runs, *_table(pim), *rank, *tally
    end = run_program(*fields)
    if end != at.DONE:
        raise ValueError(f"the program is wrong after {tally.counts.sum()} commands: {_SAYS[end]}")
    return Outcome(
        values=row_of(tally.spent, tally.counts, int(rank.state[at.OPEN_TIME]), elements),
        refreshes=int(tally.counts[Command.REF]),
        trace=tally.trace[: rank.state[at.TRACED]],
        program=ops,
        rows=rows,
    )


def _queues(queue: Int64s) -> Int64s:
    """Each queue at its first run, shape (QUEUE_SIZE, 3), of the queues of all runs in order."""
    bounds = np.searchsorted(queue, np.arange(4))
    queues = np.zeros((at.QUEUE_SIZE, 3), dtype=np.int64)
    queues[at.AT], queues[at.END] = bounds[:3], bounds[1:]
    queues[at.SOONEST] = at.STALE
    return queues


def _at_first(pim: RankConfig) -> at.Rank:
    """A rank on which nothing has happened."""
    state = np.zeros(at.STATE_SIZE, dtype=np.int64)
    state[at.BUS] = -1
    state[at.DUE] = pim.refi_tck - int(pim.refresh_phase * pim.refi_tck)
    places = 1 + pim.bank_groups + pim.banks_per_chip
    last = np.full((len(Command), places), at.NEVER, dtype=np.int64)
    window = np.full(ACTIVATIONS_A_WINDOW, at.NEVER, dtype=np.int64)
    return at.Rank(last, window, np.zeros(pim.banks_per_chip, dtype=np.bool_), state)


@lru_cache(maxsize=64)
def _table(pim: RankConfig) -> at.Table:
    """The table as the engine reads it. What follows a refresh is not among its rows: all stands for RFC."""
    rows = sorted(
        (after, before, LEVELS[row.level], row.tck(pim))
        for row in constraints_of(pim)
        if row.level != "slot" and row.before != (Command.REF,)
        for before in row.before
        for after in row.after
    )
    flat = np.array(rows, dtype=np.int64)
    bars = np.zeros((len(Command), len(Command)), dtype=np.bool_)
    bars[flat[:, 1], flat[:, 0]] = True
    first = np.searchsorted(flat[:, 0], np.arange(len(Command) + 1))
    refi = pim.refi_tck if pim.refresh else 0
    timing = pim.faw_tck, refi, pim.rfc_tck
    return at.Table(pim.bank_groups, flat[:, 1:].copy(), first, _steps(rows), bars, *timing)


def _steps(rows: Sequence[tuple[int, int, int, int]]) -> Int64s:
    """Cycles between equal commands that follow each other, shape (commands, 2); 0: they are not even.

    Column 0: all on one bank, or on no bank; column 1: on banks whose groups take turns.
    """
    steps = np.zeros((len(Command), 2), dtype=np.int64)
    for command in ISSUED:
        own = [(level, cycles) for after, before, level, cycles in rows if before == after == command]
        rank = max((cycles for level, cycles in own if level == LEVELS["rank"]), default=0)
        group = max((cycles for level, cycles in own if level == LEVELS["group"]), default=0)
        if command not in {Command.ACT, Command.REF}:  # a window of activations; a refresh that is due
            steps[command] = max(rank, group), rank if group <= 2 * rank else 0
    return steps

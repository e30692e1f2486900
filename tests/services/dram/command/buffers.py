"""Whether buffers ever hold more than they can, and nothing is used before it is there.

Counted in bytes and cycles of data, not in slots and waits as the program does:

    result buffer of a bank    sums of a chunk lie in it from its first MAC's data to its last burst's end
    shared buffer of a chip    Q all the time; S of a chunk from its first burst to its last MAC's data
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.program import Field, Phase
from l3sim.services.dram.command.result import Outcome
from tests.services.dram.command.checker import Illegal
from tests.services.dram.command.kernels import Step


@dataclass
class Run:
    """One run of the program and when its first and last commands went."""

    of: Sequence[int]
    first: int
    last: int

    def is_a(self, command: Cmd, phase: Phase) -> bool:
        """Whether it is of this command and phase."""
        return self.of[Field.COMMAND] == command and self.of[Field.PHASE] == phase


def runs_of(outcome: Outcome, steps: Iterable[Step]) -> list[Run]:
    """Runs in program order."""
    found: dict[int, Run] = {}
    for step in steps:
        if step.run in found:
            found[step.run].last = step.cycle
        else:
            found[step.run] = Run(outcome.program[step.run].tolist(), step.cycle, step.cycle)
    return [found[run] for run in sorted(found)]


def check_buffers(kernel: Kernel, outcome: Outcome, steps: Sequence[Step]) -> None:
    """Refuse a trace that asks too much of a buffer.

    Raises:
        Illegal: with the buffer.
    """
    runs = runs_of(outcome, steps)
    pim = kernel.pim
    _within("result buffer", _results(kernel, runs), pim.result_buffer_bytes)
    query = [run for run in runs if run.is_a(Cmd.PIM_WR_SB, Phase.SCORE)]
    room = pim.shared_buffer_bytes - max(run.of[Field.COUNT] for run in query) * pim.column_bytes
    _within("shared buffer", _scores(kernel, runs), room)


def chunks(runs: Sequence[Run], phase: Phase) -> list[tuple[list[Run], list[Run]]]:
    """(MACs, the bursts that collect their sums) of each chunk of scores, or of each turn of outputs."""
    found, macs = [], []
    after = Phase.SCORE if phase == Phase.SCORE else Phase.OUTPUT
    collecting: dict[int, list[Run]] = {}
    for run in runs:
        if run.is_a(Cmd.PIM_RD_RB, after):
            collecting.setdefault(run.of[Field.WAIT_A], []).append(run)
    for run in runs:
        if run.is_a(Cmd.PIM_MAC, phase):
            macs.append(run)
            if bursts := collecting.get(run.of[Field.SIGNAL]):
                found.append((macs, bursts))
                macs = []
    return found


def _results(kernel: Kernel, runs: Sequence[Run]) -> list[tuple[int, int, int]]:
    at, pim = kernel.geometry, kernel.pim
    held = []
    for phase in (Phase.SCORE, Phase.CONTEXT):
        for macs, bursts in chunks(runs, phase):
            finished = macs[-1].last + pim.cl_tck + pim.mac_latency_tck
            if bursts[0].first < finished:
                raise Illegal(f"sums are collected at {bursts[0].first}, and finished at {finished}")
            if phase == Phase.SCORE:  # of each query, the tokens of one bank
                sums = macs[0].of[Field.COUNT] // (at.token_columns * kernel.passes(at.queries)) * at.queries
            else:
                sums = at.bank_dims * min(kernel.turn_queries, at.queries - bursts[0].of[Field.FIRST])
            size = sums * pim.result_bytes
            held.append((macs[0].first + pim.cl_tck, bursts[-1].last + pim.cl_tck + pim.bl_tck, size))
    return held


def _scores(kernel: Kernel, runs: Sequence[Run]) -> list[tuple[int, int, int]]:
    pim = kernel.pim
    held = []
    waiting = {run.of[Field.WAIT_A]: run for run in runs if run.is_a(Cmd.PIM_MAC, Phase.CONTEXT)}
    for sent in (run for run in runs if run.is_a(Cmd.PIM_WR_SB, Phase.CONTEXT)):
        macs = waiting[sent.of[Field.SIGNAL]]
        here = sent.last + pim.wl_tck + pim.bl_tck
        if macs.first < here:
            raise Illegal(f"S is multiplied at {macs.first}, and here at {here}")
        held.append(
            (sent.first + pim.wl_tck, macs.last + pim.cl_tck, sent.of[Field.COUNT] * pim.column_bytes)
        )
    return held


def _within(name: str, held: Iterable[tuple[int, int, int]], room: int) -> None:
    changes = sorted(change for start, end, size in held for change in ((start, size), (end, -size)))
    total = 0
    for when, change in sorted(changes):  # at the same time what leaves goes first: its size is negative
        total += change
        if total > room:
            raise Illegal(f"the {name} holds {total} of {room} bytes at {when}")

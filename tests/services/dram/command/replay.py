"""Why each command of a trace could not go a cycle earlier.

The engine stands still while a rank refreshes: what comes after a REF comes RFC later than it would have, at
the same distances. So reasons are looked for in *still time*: cycles less RFC for each REF before. In it a
command goes when one of these is true:

    rule     a rule of `checker.Rank` lets it go now and not before
    wait     an event that its run waits for happened `delay` cycles ago
    floor    the run of waiting before it in its queue ended now, or the refresh began
    bus      another command went in the cycle before
    start    it is cycle 0
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.program import NO_EVENT, UNIT, Field
from l3sim.specs.rank import RankConfig
from l3sim.units import Int64s
from tests.services.dram.command.checker import Rank
from tests.services.dram.command.kernels import Step


class Loose(AssertionError):
    """A command that nothing held back."""


@dataclass
class Replay:
    """A program and what is known of its events."""

    ops: list[list[int]]
    events: dict[int, int] = field(default_factory=lambda: {0: 0})
    floor: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0})
    unit_free: int = 0

    def __post_init__(self) -> None:
        self.queues = {q: [i for i, run in enumerate(self.ops) if run[Field.QUEUE] == q] for q in range(3)}
        self.at = dict.fromkeys(range(3), 0)

    def waited(self, run: int) -> int | None:
        """When the waits of a run are over; None while an event has not happened."""
        of, times = self.ops[run], [0]
        for event, delay in ((Field.WAIT_A, Field.DELAY_A), (Field.WAIT_B, Field.DELAY_B)):
            if of[event] == NO_EVENT:
                continue
            if of[event] not in self.events:
                return None
            times.append(self.events[of[event]] + of[delay])
        return max(times)

    def signal(self, run: int, when: int) -> None:
        """The last command of a run goes at `when`."""
        if self.ops[run][Field.SIGNAL] != NO_EVENT:
            self.events[self.ops[run][Field.SIGNAL]] = when

    def settle(self) -> None:
        """Do all that takes no command: waiting, the unit's work, refreshes that were not due."""
        moved = True
        while moved:
            moved = self._serve_unit()
            for queue in (0, 1):
                moved |= self._pass_nops(queue)

    def _serve_unit(self) -> bool:
        moved = False
        while self.at[UNIT] < len(self.queues[UNIT]):
            run = self.queues[UNIT][self.at[UNIT]]
            ready = self.waited(run)
            if ready is None:
                return moved
            self.unit_free = max(self.unit_free, ready) + self.ops[run][Field.COUNT]
            self.signal(run, self.unit_free)
            self.at[UNIT] += 1
            moved = True
        return moved

    def _pass_nops(self, queue: int) -> bool:
        moved = False
        while self.at[queue] < len(self.queues[queue]):
            run = self.queues[queue][self.at[queue]]
            ready = self.waited(run)
            if self.ops[run][Field.COMMAND] != Cmd.NOP or ready is None:
                return moved
            self.floor[queue] = max(self.floor[queue], ready)
            self.signal(run, self.floor[queue])
            self.at[queue] += 1
            moved = True
        return moved

    def meet(self, step: Step) -> tuple[int, int | None]:
        """(queue, when its waits are over) of the next step, which must be next in its queue."""
        queue = self.ops[step.run][Field.QUEUE]
        while self.queues[queue][self.at[queue]] != step.run:
            passed = self.queues[queue][self.at[queue]]
            if self.ops[passed][Field.COMMAND] != Cmd.REF:
                raise Loose(f"{step} came before run {passed} of its queue")
            self.at[queue] += 1
            self.settle()
        return queue, self.waited(step.run)


def reasons(pim: RankConfig, ops: Int64s, steps: Sequence[Step]) -> Counter[str]:
    """How often each reason held a command back.

    Raises:
        Loose: nothing held a command back, or it came out of order.
    """
    replay, rank = Replay(ops.tolist()), Rank(pim)
    replay.settle()
    found: Counter[str] = Counter()
    frozen, bus = 0, -1
    for step in steps:
        queue, ready = replay.meet(step)
        if ready is None:
            raise Loose(f"{step} went before what it waits for")
        now = step.cycle - frozen
        first = step.number == 0
        why = {rule for rule, at in rank.earliest(step.command, step.bank).items() if at == now}
        why |= {"wait"} if first and ready == now > 0 else set()
        why |= {"floor"} if replay.floor[queue] == now > 0 else set()
        why |= {"bus"} if bus == now - 1 else set()
        if now < replay.floor[queue] or (first and now < ready):
            raise Loose(f"{step} went before what it waits for, at {ready}")
        if not why:
            raise Loose(f"{step}: nothing held it back (still time {now}, waits over at {ready})")
        found.update(why)
        if step.command == Cmd.REF:
            frozen += pim.rfc_tck
            replay.floor[queue] = now
            continue
        rank.take(step.command, step.bank, now)
        bus = now
        if step.number == replay.ops[step.run][Field.COUNT] - 1:
            replay.signal(step.run, now)
            replay.at[queue] += 1
            replay.settle()
    return found

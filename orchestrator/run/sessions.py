"""The devices of one job: who fills which slot, the sessions with them, what each replica asks."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from l3sim import PROTOCOL_VERSION
from l3sim.errors import NotReady
from l3sim.orchestrator.engine.prediction.estimate_grid import Asker, Grid, TableMaker, grid_of
from l3sim.orchestrator.engine.prediction.predictor import Tables
from l3sim.orchestrator.job.memory_budget import kv_shape
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.job.slots import FilledSlot, fill_slots
from l3sim.placement import rank_assignments
from l3sim.ports import DevicePort, DeviceSource
from l3sim.specs.foreign import config_of
from l3sim.units import Int64s
from l3sim.work import (
    Account,
    Commit,
    Costs,
    DeviceReady,
    Hello,
    RankAssignment,
    Role,
    SlotAssignment,
    Window,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """One address: its port, what it was told, what it answered."""

    port: DevicePort
    role: str
    hello: Hello
    replicas: frozenset[int]


class Sessions:
    """All sessions of one job."""

    def __init__(
        self, job: ResolvedJob, lines: Sequence[Line], filled: Sequence[FilledSlot], in_process: bool
    ) -> None:
        self._job = job
        self._in_process = in_process
        self.lines = tuple(lines)
        self.filled = tuple(filled)
        self.ready: dict[str, DeviceReady] = {}

    @classmethod
    async def open(cls, job: ResolvedJob, source: DeviceSource) -> "Sessions":
        """Fill the machine's slots and say Hello to everybody at once.

        Raises:
            NotReady: a role has too few devices.
            L3Error: what a device answered; DeviceLost when it did not.
        """
        filled = fill_slots(job.machine, source.present())
        at: dict[str, list[FilledSlot]] = defaultdict(list)
        for slot in filled:
            at[slot.address].append(slot)
        lines = [_line(job, source.connect(address), slots) for address, slots in at.items()]
        sessions = cls(job, lines, filled, source.transport == "in-process")
        try:
            answers = await together([line.port.hello(line.hello) for line in lines])
        except BaseException:
            await sessions.abort()
            raise
        for answer in answers:
            sessions.ready.update({ready.slot: ready for ready in answer})
        sessions._check_ready()
        return sessions

    def of_replica(self, replica: int) -> list[Line]:
        """The lines that a replica's windows go to, in order."""
        return [line for line in self.lines if replica in line.replicas]

    def lookahead(self) -> int:
        """Most rounds that every device foresees."""
        told = [ready.lookahead_rounds for ready in self.ready.values() if ready.lookahead_rounds]
        return min(told, default=2**31)

    def rooms(self, replica: int) -> Int64s:
        """KV bytes that each rank of a replica holds, as its device says: shape (ranksets * ranks,)."""
        layout = self._job.layout
        if self._job.machine.placement == "gpu":
            return kv_shape(self._job.machine, self._job.model, layout).room_bytes
        rooms = np.zeros(layout.ranksets * layout.ranks, dtype=np.int64)
        for line in self.lines:
            for slot in line.hello.slots:
                used = [assignment for assignment in slot.assignments if not assignment.unused]
                for assignment, region in zip(used, self.ready[slot.slot].regions[: len(used)], strict=False):
                    if assignment.replica == replica:
                        rooms[assignment.rankset * layout.ranks + assignment.rank] = region.capacity_bytes
        if (rooms <= 0).any():
            raise NotReady(
                f"replica {replica}: a rank has no KV memory; its device must list one region a rank"
            )
        return rooms

    async def tables(self, replica: int) -> Tables:
        """Ask every device its estimate grid and make tables of the answers."""
        maker = TableMaker(self._job.layout)
        await self.ask(replica, grid_of(self._job.layout, replica), maker)
        return maker.tables()

    async def ask(self, replica: int, grid: Grid, asker: Asker) -> None:
        """Ask a replica's devices what the windows of a grid would cost, and tell the asker."""
        if self._job.layout.on_gpu:
            (line,) = self.of_replica(replica)
            answer = await line.port.estimate([*grid.gpu, *grid.attention])
            asker.add_gpu(answer[: len(grid.gpu)])
            asker.add_attention(answer[len(grid.gpu) :], {(0, replica): 0})
            return
        lines = [line for line in self.of_replica(replica) if grid.of(line.role)]
        answers = await together([line.port.estimate(grid.of(line.role)) for line in lines])
        for line, answer in zip(lines, answers, strict=True):
            if line.role == Role.GPU:
                asker.add_gpu(answer)
            elif line.role == Role.LINK:
                asker.add_link(answer)
            else:
                asker.add_attention(answer, flat_ranks(line.hello, replica, self._job.layout.ranks))

    async def estimate(self, replica: int, windows: Sequence[Window]) -> list[list[Costs]]:
        """What windows would cost that never happen: for each, the answers of a replica's lines in order."""
        answers = await together([line.port.estimate(windows) for line in self.of_replica(replica)])
        return [list(each) for each in zip(*answers, strict=True)]

    async def window(self, lines: Sequence[Line], window: Window) -> list[Costs]:
        """Ask these lines what a window costs, all at once."""
        if self._in_process:
            # Nothing is ever pending there: one after the other saves a task for each.
            return [await line.port.window(window) for line in lines]
        return await together([line.port.window(window) for line in lines])

    async def audit(self, lines: Sequence[Line]) -> list[Account]:
        """The books of the devices of these lines."""
        answers = await together([line.port.audit() for line in lines])
        return [account for answer in answers for account in answer]

    async def close(self, commits: Sequence[tuple[int, tuple[Commit, ...]]]) -> list[Account]:
        """End all sessions well; each line hears the last commits of its replicas."""
        calls = [
            line.port.close([one for replica, some in commits if replica in line.replicas for one in some])
            for line in self.lines
        ]
        return [account for answer in await together(calls) for account in answer]

    async def abort(self) -> None:
        """Drop all sessions, whatever their state."""
        await asyncio.gather(*(line.port.abort() for line in self.lines), return_exceptions=True)

    @property
    def messages(self) -> int:
        """Messages sent and received."""
        return sum(line.port.messages for line in self.lines)

    def idle_mw(self) -> int:
        """Idle power of all devices."""
        return sum(ready.idle_mw for ready in self.ready.values())

    def _check_ready(self) -> None:
        missing = {slot.slot for slot in self.filled} - self.ready.keys()
        if missing:
            raise NotReady(f"{min(missing)} did not answer Hello; check its log")
        for line in self.lines:
            for slot in line.hello.slots:
                domains = self.ready[slot.slot].domains
                if line.role == Role.ATTENTION and len(domains) != len(slot.assignments):
                    what = (
                        f"{slot.slot} has {len(domains)} ranks, the machine file says {len(slot.assignments)}"
                    )
                    raise NotReady(f"{what}; set attention.ranks_per_module or use another device")


def flat_ranks(hello: Hello, replica: int, ranks: int) -> dict[tuple[int, int], int]:
    """Flat rank number of each (device, domain) of one address that serves a replica."""
    return {
        (device, domain): assignment.rankset * ranks + assignment.rank
        for device, slot in enumerate(hello.slots)
        for domain, assignment in enumerate(slot.assignments)
        if assignment.replica == replica and not assignment.unused
    }


async def together(calls: Sequence[Awaitable[T]]) -> list[T]:
    """Await calls at once; the first failure by position is raised, when all have ended."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)  # type: ignore[arg-type]


def _line(job: ResolvedJob, port: DevicePort, slots: Sequence[FilledSlot]) -> Line:
    role = slots[0].role
    assigned = tuple(_assign(job, slot) for slot in slots)
    assignments = [assignment for slot in assigned for assignment in slot.assignments]
    everyone = frozenset(range(job.layout.dp))
    replicas = (
        frozenset(assignment.replica for assignment in assignments) & everyone if assignments else everyone
    )
    hello = Hello(PROTOCOL_VERSION, job.digest, job.spec.seed, job.model, job.layout, assigned)
    return Line(port, role, hello, replicas)


def _assign(job: ResolvedJob, filled: FilledSlot) -> SlotAssignment:
    section = getattr(job.machine, filled.role)
    config = config_of(section, filled.device.config_schema_json, job.machine.name)
    assignments: tuple[RankAssignment, ...] = ()
    if filled.role == Role.ATTENTION:
        module = int(filled.slot.rpartition("-")[2])
        assignments = tuple(
            RankAssignment(*assignment)
            for assignment in rank_assignments(job.machine.attention, job.layout, module)
        )
    return SlotAssignment(filled.device.device_id, filled.slot, config, assignments)

"""The devices of one job: which fills which slot, the sessions with them, what each replica asks."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from l3sim import PROTOCOL_VERSION
from l3sim.errors import NotReady
from l3sim.orchestrator.engine.prediction.estimate_grid import Grid, GridAnswers, grid_of, tables_of
from l3sim.orchestrator.engine.prediction.predictor import Tables
from l3sim.orchestrator.job.memory_budget import kv_shape
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.job.slots import FilledSlot, check_layout, fill_slots
from l3sim.placement import rank_assignments
from l3sim.ports import DevicePort, DeviceSource
from l3sim.rank_map import RankMap
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
class OpenSession:
    """The session with one address: its port, what it was sent, and the replicas that it serves."""

    port: DevicePort
    role: str
    hello: Hello
    replicas: frozenset[int]


class Sessions:
    """All sessions of one job."""

    def __init__(
        self,
        job: ResolvedJob,
        sessions: Sequence[OpenSession],
        filled: Sequence[FilledSlot],
        in_process: bool,
    ) -> None:
        self._job = job
        self._in_process = in_process
        self.opened = tuple(sessions)
        self._of_replica = [
            [session for session in sessions if replica in session.replicas]
            for replica in range(job.layout.dp)
        ]
        self.filled = tuple(filled)
        self.ready: dict[str, DeviceReady] = {}

    @classmethod
    async def open(cls, job: ResolvedJob, source: DeviceSource) -> "Sessions":
        """Fill the machine's slots and say Hello to all addresses at once.

        Raises:
            NotReady: a role has too few devices.
            L3Error: what a device answered; DeviceLost when it did not.
        """
        filled = fill_slots(job.machine, source.present())
        check_layout(filled, job.layout)
        at: dict[str, list[FilledSlot]] = defaultdict(list)
        for slot in filled:
            at[slot.address].append(slot)
        sessions = [_session(job, source.connect(address), slots) for address, slots in at.items()]
        made = cls(job, sessions, filled, source.transport == "in-process")
        try:
            answers = await together([session.port.hello(session.hello) for session in sessions])
        except BaseException:
            await made.abort()
            raise
        for answer in answers:
            made.ready.update({ready.slot: ready for ready in answer})
        made._check_ready()
        return made

    def of_replica(self, replica: int) -> list[OpenSession]:
        """The sessions that a replica's windows go to, in order."""
        return self._of_replica[replica]

    def lookahead(self) -> int:
        """Most rounds that every device foresees."""
        foreseen = [ready.lookahead_rounds for ready in self.ready.values() if ready.lookahead_rounds]
        return min(foreseen, default=2**31)

    def kv_room_bytes(self, replica: int) -> Int64s:
        """KV bytes that each rank of a replica holds, as its device says: shape (ranksets * ranks,)."""
        layout = self._job.layout
        if self._job.machine.placement == "gpu":
            return kv_shape(self._job.machine, self._job.model, layout).room_bytes
        rooms = np.zeros(layout.ranksets * layout.ranks, dtype=np.int64)
        for session in self.opened:
            for used in RankMap.of(session.hello, replica).used:
                slot = session.hello.slots[used.device].slot
                regions = self.ready[slot].regions
                capacity = regions[used.domain].capacity_bytes if used.domain < len(regions) else 0
                if capacity <= 0:
                    raise NotReady(
                        f"{slot} rank {used.domain} has no KV memory; its device must list a region for each "
                        "rank, in their order"
                    )
                rooms[used.flat] = capacity
        if not rooms.all():
            raise NotReady(f"replica {replica}: no device serves rank {np.flatnonzero(rooms == 0)[0]}")
        return rooms

    async def tables(self, replica: int) -> Tables:
        """Ask every device its estimate grid and make tables of the answers."""
        layout = self._job.layout
        return tables_of(layout, await self.grid(replica, grid_of(layout, replica)))

    async def grid(self, replica: int, grid: Grid) -> GridAnswers:
        """What the windows of a grid would cost on a replica's devices."""
        if self._job.layout.on_gpu:
            (session,) = self.of_replica(replica)
            answer = await session.port.estimate([*grid.gpu, *grid.attention])
            count = len(grid.gpu)
            return GridAnswers(answer[:count], [(RankMap.of_gpu(replica), answer[count:])])
        sessions = [session for session in self.of_replica(replica) if grid.of(session.role)]
        answers = await together([session.port.estimate(grid.of(session.role)) for session in sessions])
        single: dict[str, Sequence[Costs]] = {}
        attention = []
        for session, answer in zip(sessions, answers, strict=True):
            if session.role == Role.ATTENTION:
                attention.append((RankMap.of(session.hello, replica), answer))
            else:
                single[session.role] = answer
        return GridAnswers(single.get(Role.GPU, ()), attention, single.get(Role.LINK, ()))

    async def estimate(
        self, replica: int, windows: Sequence[Window], modules: Sequence[Window]
    ) -> list[list[Costs]]:
        """What windows would cost that never happen: for each, the answers of all sessions in order.

        Args:
            modules: the same windows, as modules and the link hear them.
        """
        heard = [(one, windows if one.role == Role.GPU else modules) for one in self.of_replica(replica)]
        answers = await together([session.port.estimate(some) for session, some in heard])
        return [list(each) for each in zip(*answers, strict=True)]

    async def window(self, window: Window, modules: Window) -> list[Costs]:
        """What a window costs: the answers of its replica's sessions in order.

        Args:
            modules: the same window, as modules and the link hear it.
        """
        heard = [
            (session, window if session.role == Role.GPU else modules)
            for session in self.of_replica(window.replica)
        ]
        if self._in_process:
            # Nothing is ever pending there: one after the other saves a task for each.
            return [await session.port.window(one) for session, one in heard]
        return await together([session.port.window(one) for session, one in heard])

    async def audit(self, replica: int) -> list[Account]:
        """The books of a replica's attention devices."""
        sessions = [session for session in self.of_replica(replica) if session.role == Role.ATTENTION]
        answers = await together([session.port.audit() for session in sessions])
        return [account for answer in answers for account in answer]

    async def close(self, commits: Sequence[tuple[int, tuple[Commit, ...]]]) -> list[Account]:
        """End all sessions well; each session hears the last commits of its replicas."""
        calls = [
            session.port.close(
                [one for replica, some in commits if replica in session.replicas for one in some]
            )
            for session in self.opened
        ]
        return [account for answer in await together(calls) for account in answer]

    async def abort(self) -> None:
        """Drop all sessions, whatever their state."""
        await asyncio.gather(*(session.port.abort() for session in self.opened), return_exceptions=True)

    @property
    def messages(self) -> int:
        """Messages sent and received."""
        return sum(session.port.messages for session in self.opened)

    def idle_mw(self) -> int:
        """Idle power of all devices."""
        return sum(ready.idle_mw for ready in self.ready.values())

    def _check_ready(self) -> None:
        missing = {slot.slot for slot in self.filled} - self.ready.keys()
        if missing:
            raise NotReady(f"{min(missing)} did not answer Hello; check its log")
        for session in self.opened:
            for slot in session.hello.slots:
                domains = self.ready[slot.slot].domains
                if session.role == Role.ATTENTION and len(domains) != len(slot.assignments):
                    what = (
                        f"{slot.slot} has {len(domains)} ranks, the machine file says {len(slot.assignments)}"
                    )
                    raise NotReady(f"{what}; set attention.ranks_per_module or use another device")


async def together(calls: Sequence[Awaitable[T]]) -> list[T]:
    """Await calls at once; the first failure by position is raised, when all have ended."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)  # type: ignore[arg-type]


def _session(job: ResolvedJob, port: DevicePort, slots: Sequence[FilledSlot]) -> OpenSession:
    role = slots[0].role
    assigned = tuple(_assign(job, slot) for slot in slots)
    assignments = [assignment for slot in assigned for assignment in slot.assignments]
    every = frozenset(range(job.layout.dp))
    replicas = frozenset(assignment.replica for assignment in assignments) & every if assignments else every
    hello = Hello(PROTOCOL_VERSION, job.digest, job.spec.seed, job.model, job.layout, assigned)
    return OpenSession(port, role, hello, replicas)


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

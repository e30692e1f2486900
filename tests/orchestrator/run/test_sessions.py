"""The sessions of a job: rooms by rank, windows to their own replica, and what devices must have said."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from l3sim.errors import NotReady
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.run.sessions import Sessions, together
from l3sim.services.dimm_pim.device import DimmPimSession
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from l3sim.work import MemoryRegion, Role
from tests.orchestrator.small_jobs import SmallJob, listed, small_machine, source_of


def job_of(gpus: int = 1, **changes: Any) -> ResolvedJob:
    spec = JobSpec(listed([10] * 4, [3] * 4), model=small_model(), policy="serial", tp=1, dp=gpus)
    return SmallJob(spec, small_machine(gpus=gpus, **changes)).resolved


async def sessions_of(job: ResolvedJob, packed: int = 64) -> Sessions:
    return await Sessions.open(job, source_of(job.machine, packed))


def with_ready(sessions: Sessions, slot: str, **changes: Any) -> None:
    sessions.ready[slot] = replace(sessions.ready[slot], **changes)


async def test_each_rank_has_the_room_that_its_device_says() -> None:
    job = job_of()
    sessions = await sessions_of(job)
    with_ready(sessions, "dimm-03", regions=(MemoryRegion("rank-0", 11, 1), MemoryRegion("rank-1", 12, 1)))
    rooms = sessions.kv_room_bytes(0).tolist()
    said = [
        region.capacity_bytes
        for slot, ready in sessions.ready.items()
        if "dimm" in slot
        for region in ready.regions
    ]
    assert len(rooms) == job.layout.ranksets * job.layout.ranks
    assert sorted(rooms) == sorted(said)


async def test_windows_go_to_their_own_replica() -> None:
    sessions = await sessions_of(job_of(gpus=2), packed=1)
    modules = [{one.hello.slots[0].slot for one in sessions.of_replica(index)} for index in range(2)]
    assert modules[0] & modules[1] == {"gpu", "link"}
    assert modules[0] | modules[1] == {one.hello.slots[0].slot for one in sessions.opened}
    assert len(modules[0]) == len(modules[1])


async def test_a_region_belongs_to_the_rank_of_its_position() -> None:
    """The first rank of dimm-00 is unused: its region, of no bytes, is not the room of the second."""
    sessions = await sessions_of(job_of(), packed=1)
    at = next(number for number, one in enumerate(sessions.opened) if one.hello.slots[0].slot == "dimm-00")
    session = sessions.opened[at]
    slot = session.hello.slots[0]
    first, second = slot.assignments
    assignments = (replace(first, unused=True), second)
    hello = replace(session.hello, slots=(replace(slot, assignments=assignments),))
    opened = list(sessions.opened)
    opened[at] = replace(session, hello=hello)
    # Another device serves the rank that is unused here.
    spare = replace(session.hello, slots=(replace(slot, slot="spare", assignments=(first,)),))
    opened.append(replace(session, hello=spare))
    sessions.opened = tuple(opened)
    with_ready(sessions, "dimm-00", regions=(MemoryRegion("unused", 0, 1), MemoryRegion("rank-1", 777, 1)))
    sessions.ready["spare"] = replace(sessions.ready["dimm-00"], regions=(MemoryRegion("rank-0", 555, 1),))
    ranks = sessions._job.layout.ranks
    rooms = sessions.kv_room_bytes(0)
    assert rooms[second.rankset * ranks + second.rank] == 777
    assert rooms[first.rankset * ranks + first.rank] == 555


@pytest.mark.parametrize(
    "regions", [(), (MemoryRegion("rank-0", 99, 1),), (MemoryRegion("a", 9, 1), MemoryRegion("b", 0, 1))]
)
async def test_a_rank_without_memory_is_named(regions: Sequence[MemoryRegion]) -> None:
    sessions = await sessions_of(job_of())
    with_ready(sessions, "dimm-02", regions=tuple(regions))
    with pytest.raises(NotReady, match=r"dimm-02 rank [01] has no KV memory; its device must list a region"):
        sessions.kv_room_bytes(0)


async def test_the_shortest_sight_bounds_windows() -> None:
    sessions = await sessions_of(job_of())
    assert sessions.lookahead() == 2**31
    with_ready(sessions, "dimm-01", lookahead_rounds=7)
    with_ready(sessions, "link", lookahead_rounds=9)
    assert sessions.lookahead() == 7


async def test_idle_power_and_messages_are_summed() -> None:
    sessions = await sessions_of(job_of())
    assert sessions.idle_mw() == sum(ready.idle_mw for ready in sessions.ready.values())
    before = sessions.messages
    await sessions.audit(0)
    attention = [one for one in sessions.of_replica(0) if one.role == Role.ATTENTION]
    assert sessions.messages == before + 2 * len(attention)


async def test_a_module_with_another_number_of_ranks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    job, ready = job_of(), DimmPimSession.ready
    monkeypatch.setattr(
        DimmPimSession, "ready", lambda self: [replace(one, domains=("only",)) for one in ready(self)]
    )
    with pytest.raises(NotReady, match="dimm-00 has 1 ranks, the machine file says 2"):
        await sessions_of(job)


async def test_the_first_failure_by_position_is_raised_when_all_have_ended() -> None:
    ended = []

    async def call(name: str, fails: bool) -> str:
        ended.append(name)
        if fails:
            raise NotReady(name)
        return name

    assert await together([call("a", False), call("b", False)]) == ["a", "b"]
    ended.clear()
    with pytest.raises(NotReady, match="b"):
        await together([call("a", False), call("b", True), call("c", True)])
    assert ended == ["a", "b", "c"]

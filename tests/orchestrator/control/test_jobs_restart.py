"""Jobs over stops and starts of the orchestrator."""

import asyncio
from pathlib import Path

import pytest

from l3sim.errors import NotReady, Unreachable
from l3sim.orchestrator.control.record import State
from tests.orchestrator.fakes import Resolved
from tests.orchestrator.house import House


async def test_watchers_are_sent_away_when_the_orchestrator_stops(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        job_id = await house.submit("a")
        await house.began()
        view = await house.jobs.get(job_id)
        waiting = asyncio.ensure_future(anext(house.jobs.watch(job_id, view.sequence)))
        await asyncio.sleep(0)
    with pytest.raises(Unreachable, match="watch again when it is back"):
        await waiting


async def test_nothing_is_accepted_while_it_stops(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        pass
    with pytest.raises(Unreachable, match="the orchestrator stops"):
        await house.submit("a")


async def test_after_a_restart_queued_and_running_jobs_run_in_order(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        ids = [await house.submit(spec) for spec in "abc"]
        await house.began()
        await house.jobs.cancel(ids[1])
    async with House(tmp_path) as house:
        for job_id in (ids[0], ids[2]):
            house.engine.end()
            assert (await house.ended(job_id)).record.state is State.SUCCEEDED
        assert house.engine.runs == ["a", "c"]
        assert (await house.jobs.get(ids[0])).record.attempts == 2
        assert (await house.jobs.get(ids[1])).record.state is State.CANCELLED


async def test_after_two_restarts_the_next_is_one_too_many(tmp_path: Path) -> None:
    for attempt in range(3):
        async with House(tmp_path) as house:
            if attempt == 0:
                await house.submit("a")
                await house.submit("b")
            assert await house.began() == "a"
    async with House(tmp_path) as house:
        assert await house.began() == "b"
        record = (await house.ended("job-000001")).record
        assert (record.state, record.error_reason, record.attempts) == (State.FAILED, "INTERRUPTED", 3)
    assert house.engine.runs == ["b"]


async def test_a_job_whose_meaning_changed_over_a_restart_is_refused(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        await house.submit("a")
        await house.began()
    house = House(tmp_path)
    house.jobs._resolver = lambda _: Resolved("changed")
    async with house:
        record = (await house.ended("job-000001")).record
    assert (record.error_reason, house.engine.runs) == ("NOT_READY", [])
    assert "accepted with configuration a, which now resolves to changed" in record.error_message


async def test_a_queued_job_waits_for_the_machine(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        await house.submit("a")
        await house.began()
    house = House(tmp_path)
    house.gate.close()
    async with house:
        await house.gate.waiting.wait()
        assert (await house.jobs.get("job-000001")).record.state is State.QUEUED
        house.gate.open()
        assert await house.began() == "a"


async def test_a_job_that_waits_for_the_machine_can_be_cancelled(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        for spec in "ab":
            await house.submit(spec)
        await house.began()
    house = House(tmp_path)
    house.gate.close()
    async with house:
        await house.gate.waiting.wait()
        house.gate.waiting.clear()
        await house.jobs.cancel("job-000001")
        # The next one waits now, although the machine has not come back.
        await house.gate.waiting.wait()
        house.gate.open()
        assert await house.began() == "b"


async def test_a_job_does_not_wait_for_the_machine_for_ever(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        await house.submit("a")
        await house.began()
    house = House(tmp_path, ready_wait_s=0)
    house.gate.close()
    async with house:
        house.engine.fail(NotReady("role gpu needs 1 of kind gpu, present 0"))
        record = (await house.ended("job-000001")).record
    assert (record.state, record.error_reason) == (State.FAILED, "NOT_READY")

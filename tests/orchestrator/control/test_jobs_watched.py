"""Who watches jobs: by the API and on the bus."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from l3sim.orchestrator.control.bus_publisher import INTERVAL_S
from l3sim.orchestrator.control.record import State
from l3sim.orchestrator.engine.progress import Progress, Span
from tests.orchestrator.fakes import PROGRESS
from tests.orchestrator.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as house:
        yield house


async def test_a_watcher_sees_progress_and_the_end(house: House) -> None:
    job_id = await house.submit("a")
    events = house.jobs.watch(job_id, 0)
    first = await anext(events)
    _, observer = await house.engine.begun.get()
    observer.progress(PROGRESS)
    view = await anext(events)
    assert (view.record.state, view.progress) == (State.RUNNING, PROGRESS)
    house.engine.end()
    last = await anext(events)
    assert last.record.state is State.SUCCEEDED
    assert first.sequence < view.sequence < last.sequence
    assert [event async for event in events] == []


async def test_a_slow_watcher_gets_the_newest_only(house: House) -> None:
    job_id = await house.submit("a")
    _, observer = await house.engine.begun.get()
    events = house.jobs.watch(job_id, 0)
    before = await anext(events)
    for done in range(1000):
        observer.progress(Progress(requests_done=done))
    view = await anext(events)
    assert view.progress.requests_done == 999
    assert view.sequence == before.sequence + 1000


async def test_a_watcher_resumes_where_it_was(house: House) -> None:
    job_id = await house.submit("a")
    _, observer = await house.engine.begun.get()
    seen = (await house.jobs.get(job_id)).sequence
    resumed = asyncio.ensure_future(anext(house.jobs.watch(job_id, seen)))
    observer.progress(PROGRESS)
    assert (await resumed).sequence == seen + 1
    house.engine.end()
    last = (await house.ended(job_id)).sequence
    assert [view.sequence async for view in house.jobs.watch(job_id, seen + 1)] == [last]
    assert [view async for view in house.jobs.watch(job_id, last)] == []


async def test_a_watcher_resumes_after_a_restart(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        job_id = await house.submit("a")
        _, observer = await house.engine.begun.get()
        for _ in range(100):
            observer.progress(PROGRESS)
        seen = (await house.jobs.get(job_id)).sequence
    async with House(tmp_path) as house:
        events = house.jobs.watch(job_id, seen)
        assert (await anext(events)).sequence > seen
        house.engine.end()
        assert [view async for view in events][-1].record.state is State.SUCCEEDED


async def test_notices_follow_a_job_and_are_retained(house: House) -> None:
    job_id = await house.submit("a")
    _, observer = await house.engine.begun.get()
    house.clock.advance(INTERVAL_S)
    observer.progress(PROGRESS)
    house.engine.end()
    await house.ended(job_id)
    notices = house.notices("jobs/job-000001")
    assert [notice["state"] for notice in notices] == ["queued", "running", "running", "succeeded"]
    assert [notice["seq"] for notice in notices] == ["1", "2", "3", "4"]
    assert notices[2]["requests_total"] == "3"
    assert json.loads(house.bus.retained["l3/m/jobs/job-000001"])["state"] == "succeeded"
    assert house.notices("clock") == [
        {"seq": "1", "job_id": job_id, "virtual_time_ps": str(PROGRESS.virtual_time_ps)}
    ]
    assert house.notices("metrics")[0]["throughput_tokens_per_s"] == 5.0
    assert "l3/m/clock" not in house.bus.retained


async def test_progress_is_published_a_few_times_a_second_at_most(house: House) -> None:
    await house.submit("a")
    _, observer = await house.engine.begun.get()
    for _ in range(20):
        house.clock.advance(INTERVAL_S / 4)
        observer.progress(PROGRESS)
    assert len(house.notices("clock")) == 5


async def test_spans_are_published_in_batches(house: House) -> None:
    await house.submit("a")
    _, observer = await house.engine.begun.get()
    observer.spans("gpu", [Span(0, 1, 0, layer, "B", -1, layer, layer + 1) for layer in range(2500)])
    topics = [topic for topic, _, _ in house.bus.published]
    assert topics.count("l3/m/spans/gpu") == 3

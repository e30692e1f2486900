"""The life of jobs."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from l3sim.errors import Conflict, DeviceLost, InvalidInput, InvariantBroken, NotFound, NotReady
from l3sim.orchestrator.control.record import State
from tests.orchestrator.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as house:
        yield house


async def test_jobs_run_one_at_a_time_in_order_of_acceptance(house: House) -> None:
    ids = [await house.submit(spec) for spec in ("a", "b", "c")]
    for spec, job_id in zip("abc", ids, strict=True):
        assert await house.began() == spec
        assert (await house.jobs.get(job_id)).record.state is State.RUNNING
        assert house.engine.begun.empty()
        house.engine.end()
        assert (await house.ended(job_id)).record.state is State.SUCCEEDED
    assert ids == ["job-000001", "job-000002", "job-000003"]


async def test_a_job_is_listed_with_what_it_resolved_to(house: House) -> None:
    view = await house.jobs.submit("r", b"warn")
    record = view.record
    assert (record.digest, record.model, record.workload) == ("warn", "llama-2-7b", "fixed:1:1")
    assert record.warnings == ("take care",)
    assert [view.record.job_id for view in await house.jobs.page(None, 10)] == ["job-000001"]


async def test_a_refused_specification_leaves_no_job(house: House) -> None:
    with pytest.raises(InvalidInput, match=r"spec\.workload: is bad"):
        await house.jobs.submit("", b"bad")
    assert await house.jobs.page(None, 10) == []


async def test_a_machine_with_a_role_unfilled_accepts_nothing(house: House) -> None:
    house.gate.close()
    with pytest.raises(NotReady, match="role gpu needs 1 of kind gpu, present 0"):
        await house.jobs.submit("", b"a")
    assert await house.jobs.page(None, 10) == []


async def test_the_same_request_is_answered_with_the_same_job(house: House) -> None:
    first = await house.submit("warn", "r")
    house.gate.close()
    again = await house.jobs.submit("r", b"warn")
    assert (again.record.job_id, again.record.warnings) == (first, ("take care",))
    with pytest.raises(Conflict, match="request id 'r' is taken by job-000001"):
        await house.jobs.submit("r", b"other")


async def test_the_same_request_twice_at_once_makes_one_job(house: House) -> None:
    views = await asyncio.gather(*(house.jobs.submit("r", b"a") for _ in range(5)))
    assert {view.record.job_id for view in views} == {"job-000001"}
    assert await house.began() == "a"
    house.engine.end()
    await house.ended("job-000001")
    assert house.engine.runs == ["a"]


async def test_a_client_that_goes_away_while_it_submits_loses_no_job(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        accepting, accept = asyncio.Event(), house.journal.accept
        loop = asyncio.get_running_loop()

        def accept_and_tell(job: Any) -> Any:
            loop.call_soon_threadsafe(accepting.set)
            return accept(job)

        house.journal.accept = accept_and_tell  # type: ignore[method-assign]
        client = asyncio.create_task(house.submit("a"))
        await accepting.wait()
        client.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client
        assert await house.began() == "a"


async def test_a_report_is_there_once_the_job_succeeded(house: House) -> None:
    job_id = await house.submit("a")
    await house.began()
    with pytest.raises(NotReady, match="job-000001 is running; only a job that succeeded has a report"):
        await house.jobs.report(job_id)
    house.engine.end({"tokens": 3}, requests=b"lines")
    await house.ended(job_id)
    assert json.loads(await house.jobs.report(job_id)) == {"tokens": 3}
    assert [part async for part in house.jobs.artifact(job_id, "requests")] == [b"lines"]
    with pytest.raises(NotFound, match=r"job-000001 \(succeeded\) left no file 'spans\.jsonl'"):
        _ = [part async for part in house.jobs.artifact(job_id, "spans.jsonl")]


async def test_a_large_artifact_comes_in_parts(house: House) -> None:
    data = bytes(range(256)) * 10_000
    job_id = await house.submit("a")
    house.engine.end({}, big=data)
    await house.ended(job_id)
    parts = [part async for part in house.jobs.artifact(job_id, "big")]
    assert len(parts) == 3
    assert b"".join(parts) == data


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (DeviceLost("dimm-02", "the stream broke"), "DEVICE_LOST", "lost dimm-02: the stream broke"),
        (InvariantBroken("time went back"), "INVARIANT_BROKEN", "time went back"),
        (ZeroDivisionError("division\nby zero"), "INTERNAL", "ZeroDivisionError: division by zero"),
    ],
)
async def test_a_job_fails_by_name(house: House, error: Exception, reason: str, message: str) -> None:
    job_id = await house.submit("a")
    house.engine.fail(error)
    record = (await house.ended(job_id)).record
    assert (record.state, record.error_reason, record.error_message) == (State.FAILED, reason, message)
    assert house.gate.rechecks == (reason == "DEVICE_LOST")
    with pytest.raises(NotReady, match="job-000001 is failed: "):
        await house.jobs.report(job_id)


async def test_a_report_that_is_no_json_fails_the_job(house: House) -> None:
    job_id = await house.submit("a")
    house.engine.end({"ttft_s": float("nan")})
    record = (await house.ended(job_id)).record
    assert (record.state, record.error_reason) == (State.FAILED, "INTERNAL")


async def test_after_a_failure_the_next_job_runs(house: House) -> None:
    first, second = await house.submit("a"), await house.submit("b")
    house.engine.fail(DeviceLost("gpu", "gone"))
    await house.ended(first)
    house.engine.end()
    assert (await house.ended(second)).record.state is State.SUCCEEDED


async def test_a_report_that_cannot_be_kept_fails_the_job(house: House) -> None:
    job_id = await house.submit("a")
    house.engine.end({}, bad=[object()])  # type: ignore[arg-type]
    record = (await house.ended(job_id)).record
    assert record.state is State.FAILED
    assert "the job ended as succeeded, but cannot be kept" in record.error_message


async def test_a_queued_job_is_cancelled_at_once(house: House) -> None:
    running, queued, last = [await house.submit(spec) for spec in "abc"]
    await house.began()
    assert (await house.jobs.cancel(queued)).record.state is State.CANCELLED
    house.engine.end()
    await house.ended(running)
    house.engine.end()
    await house.ended(last)
    assert house.engine.runs == ["a", "c"]


async def test_a_running_job_stops_when_asked(house: House) -> None:
    job_id = await house.submit("a")
    await house.began()
    view = await house.jobs.cancel(job_id)
    assert view.record.cancel_requested
    assert (await house.ended(job_id)).record.state is State.CANCELLED
    assert (await house.jobs.cancel(job_id)).record.state is State.CANCELLED


async def test_a_running_job_that_does_not_listen_is_torn_down(tmp_path: Path) -> None:
    async with House(tmp_path, cancel_grace_s=0) as house:
        began = asyncio.Event()

        async def deaf(*_: object) -> Any:
            began.set()
            await asyncio.Event().wait()

        house.jobs._runner = deaf
        job_id = await house.submit("a")
        await began.wait()
        await house.jobs.cancel(job_id)
        assert (await house.ended(job_id)).record.state is State.CANCELLED


async def test_an_ended_job_cannot_be_cancelled(house: House) -> None:
    job_id = await house.submit("a")
    house.engine.end()
    await house.ended(job_id)
    assert (await house.jobs.cancel(job_id)).record.state is State.SUCCEEDED


async def test_unknown_jobs_are_named(house: House) -> None:
    for job_id in ("job-000009", "nonsense"):
        for call in (house.jobs.get, house.jobs.cancel, house.jobs.report):
            with pytest.raises(NotFound, match=job_id):
                await call(job_id)
        with pytest.raises(NotFound, match=job_id):
            await anext(house.jobs.watch(job_id, 0))

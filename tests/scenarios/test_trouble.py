"""Parts of a real machine die in the middle of a job; jobs end right, start again, or fail by name.

client ── orchestrator ══ gpu, link, dimm-00 ... dimm-03      each killed in turn
               └───────── broker
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil
import pytest

from l3sim.clients.client import Client
from l3sim.clients.workloads import workload_spec
from l3sim.specs.job import JobSpec
from l3sim.v1 import job_pb2
from tests.commands import DEADLINE_S, Commands, finish, until

#: What the issue grants a job to fail by name after its device died.
FAILS_WITHIN_S = 5.0


def spec(output_tokens: int) -> JobSpec:
    """A job of a message a round to every device."""
    return JobSpec(workload_spec(f"fixed:16:{output_tokens}", requests=2), policy="l3", max_window=1)


@pytest.fixture
async def machine(l3: Commands) -> AsyncIterator[Client]:
    state = await asyncio.to_thread(l3.json, "up", "--machine", "l3-mini", "--detach")
    async with Client(state["address"]) as client:
        yield client


async def watched(
    client: Client, job_id: str, enough: Callable[[job_pb2.Job], bool], deadline_s: float
) -> job_pb2.Job:
    """The job's first event that is enough, or its last."""
    event = job_pb2.Job()
    async with asyncio.timeout(deadline_s):
        async for event in client.watch(job_id):
            if enough(event):
                break
    return event


async def running(client: Client, job_spec: JobSpec) -> job_pb2.Job:
    """Submit a job; returns when some of its tokens are done and most are not."""
    job, _ = await client.submit(job_spec)
    job = await watched(client, job.job_id, lambda event: event.progress.output_tokens_done > 0, DEADLINE_S)
    assert job.state == job_pb2.JOB_STATE_RUNNING
    assert job.progress.output_tokens_done < job.progress.output_tokens_total / 2
    return job


async def end_of(client: Client, job: job_pb2.Job, deadline_s: float = DEADLINE_S) -> job_pb2.Job:
    return await watched(client, job.job_id, lambda _: False, deadline_s)


async def undisturbed(client: Client, job_spec: JobSpec) -> dict[str, Any]:
    job, _ = await client.submit(job_spec)
    await end_of(client, job)
    return await report_of(client, job)


async def report_of(client: Client, job: job_pb2.Job) -> dict[str, Any]:
    report = (await client.report(job.job_id)).to_dict()
    report.pop("exchange")
    return report


@pytest.mark.parametrize("victim", ["dimm-02", "gpu", "link"])
async def test_a_killed_device_fails_the_job_by_slot(l3: Commands, machine: Client, victim: str) -> None:
    process = psutil.Process(l3.part(victim))
    job = await running(machine, spec(20000))
    process.kill()
    ended = await end_of(machine, job, FAILS_WITHIN_S)
    assert ended.state == job_pb2.JOB_STATE_FAILED
    assert ended.error.reason == "DEVICE_LOST"
    assert ended.error.message.startswith(f"lost {victim}: ")


async def test_a_killed_broker_stops_no_job_and_comes_back(l3: Commands, machine: Client) -> None:
    calm = await undisturbed(machine, spec(1500))
    broker = psutil.Process(l3.part("broker"))
    job = await running(machine, spec(1500))
    broker.kill()
    broker.wait(DEADLINE_S)
    assert (await machine.get(job.job_id)).state == job_pb2.JOB_STATE_RUNNING
    ended = await end_of(machine, job)
    assert ended.state == job_pb2.JOB_STATE_SUCCEEDED
    assert ended.attempts == 1
    assert json.dumps(await report_of(machine, job)) == json.dumps(calm)
    until(lambda: l3.part("broker") != broker.pid, "the broker is back")
    # Everybody has announced themselves again, so another job runs.
    assert (await undisturbed(machine, spec(10)))["requests"]["completed"] == 2


async def test_a_killed_orchestrator_starts_its_jobs_again(l3: Commands, machine: Client) -> None:
    calm = await undisturbed(machine, spec(1500))
    orchestrator = psutil.Process(l3.part("orchestrator"))
    job = await running(machine, spec(1500))
    waiting, _ = await machine.submit(spec(10))
    orchestrator.kill()
    ended = await end_of(machine, job)
    assert (ended.state, ended.attempts) == (job_pb2.JOB_STATE_SUCCEEDED, 2)
    assert json.dumps(await report_of(machine, job)) == json.dumps(calm)
    assert (await end_of(machine, waiting)).state == job_pb2.JOB_STATE_SUCCEEDED
    assert len(await machine.jobs()) == 3


async def test_a_client_that_goes_away_takes_nothing_with_it(l3: Commands, machine: Client) -> None:
    leaving = l3.start("submit", "fixed:16:1000", "--requests", "2", "--max-window", "1", "--wait")
    job_id = (await asyncio.to_thread(until, lambda: l3.json("jobs"), "the job is in"))[0]["job_id"]
    leaving.kill()
    finish(leaving)
    assert (await end_of(machine, await machine.get(job_id))).state == job_pb2.JOB_STATE_SUCCEEDED

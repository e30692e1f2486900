import asyncio
import sys

import pytest

from l3sim.clients.client import Client
from l3sim.clients.waiting import note, submit_and_wait
from l3sim.errors import NotReady
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec
from tests.clients.fake_machine import RUNNING, FakeMachine, make_job

SPEC = JobSpec(WorkloadSpec("openr1", 200))


async def test_a_job_whose_acceptance_was_on_its_way_is_cancelled_too(
    machine: FakeMachine, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.answering.clear()
    async with Client(address) as client:
        waiting = asyncio.ensure_future(submit_and_wait(client, SPEC))
        await asyncio.to_thread(machine.submitted.wait)
        waiting.cancel()
        machine.answering.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert machine.cancelled.is_set()
    assert capsys.readouterr().err == "l3: job-000001 cancelled\n"


@pytest.mark.parametrize(
    ("called", "said"),
    [
        ("l3sim/__main__.py", "./l3 up --detach, or ./l3 demo"),
        ("/bin/l3", "l3 up --detach, or l3 demo"),
    ],
)
def test_commands_in_messages_are_as_this_one_was_called(
    called: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [called, "jobs"])
    note("no machine is up; start one: ./l3 up --detach, or ./l3 demo")
    assert capsys.readouterr().err == f"l3: no machine is up; start one: {said}\n"


async def test_a_refused_job_has_nothing_to_cancel(machine: FakeMachine, address: str) -> None:
    machine.answering.clear()
    machine.refusals.append(NotReady("role link needs 1, has 0"))
    async with Client(address) as client:
        waiting = asyncio.ensure_future(submit_and_wait(client, SPEC))
        await asyncio.to_thread(machine.submitted.wait)
        waiting.cancel()
        machine.answering.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert not machine.cancelled.is_set()


async def test_a_machine_that_is_gone_is_said_to_be(
    machine: FakeMachine, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.streams.append([make_job(RUNNING, 1)])
    async with Client(address, call_retries_s=[], watch_retries_s=[60.0]) as client:
        waiting = asyncio.ensure_future(submit_and_wait(client, SPEC))
        await asyncio.to_thread(machine.watching.wait)
        machine.refusals.append(NotReady("going down"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert "l3: could not cancel job-000001: going down\n" in capsys.readouterr().err

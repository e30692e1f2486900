"""The blocking client says what `Client` says: every coroutine has its twin, and each goes all the way."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from l3sim.clients.blocking import BlockingClient
from l3sim.clients.client import Client
from l3sim.errors import NotFound, Unreachable
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec
from tests.clients.fake_machine import QUEUED, RUNNING, SUCCEEDED, FakeMachine, make_job
from tests.reports import GOLDEN, golden


def public(kind: type) -> dict[str, Any]:
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


def calls() -> list[str]:
    return [
        name
        for name, member in public(Client).items()
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
    ]


def test_there_is_no_call_without_a_twin_and_no_other() -> None:
    assert len(calls()) > 10
    assert {*calls(), "address", "close"} == public(BlockingClient).keys()


@pytest.mark.parametrize("name", ["__init__", *calls()])
def test_a_twin_has_the_same_signature(name: str) -> None:
    ours, theirs = getattr(BlockingClient, name), getattr(Client, name)
    assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters
    hints, expected = get_type_hints(ours), get_type_hints(theirs)
    if get_origin(expected["return"]) is AsyncIterator:
        expected["return"] = Iterator[get_args(expected["return"])[0]]  # type: ignore[misc]
    assert hints == expected
    assert not inspect.iscoroutinefunction(ours)
    if name != "__init__":
        assert ours.__doc__ == f"See Client.{name}."


#: Arguments by name of a parameter.
ARGUMENTS: dict[str, Any] = {
    "spec": JobSpec(WorkloadSpec("openr1", 200)),
    "job_id": "job-000001",
    "name": "requests.jsonl",
    "resolved_yaml": "name: l3-mini",
}


def prepared(machine: FakeMachine) -> None:
    machine.report_json = GOLDEN
    machine.jobs = [make_job(SUCCEEDED)]
    machine.streams.append([make_job(QUEUED), make_job(RUNNING), make_job(SUCCEEDED)])
    machine.artifacts = {name: [b"{}\n"] for name in ("requests.jsonl", "decisions.jsonl", "config.yaml")}


@pytest.mark.parametrize("name", calls())
def test_a_twin_answers_the_same(name: str, machine: FakeMachine, address: str) -> None:
    needed = [
        ARGUMENTS[parameter.name]
        for parameter in list(inspect.signature(getattr(Client, name)).parameters.values())[1:]
        if parameter.default is inspect.Parameter.empty
    ]

    async def of_client() -> Any:
        async with Client(address) as client:
            answer = getattr(client, name)(*needed)
            return await answer if isinstance(answer, Awaitable) else [item async for item in answer]

    def told(call: Any) -> Any:
        prepared(machine)
        try:
            answer = call()
        except Exception as error:
            return type(error), str(error)
        return list(answer) if isinstance(answer, Iterator) else answer

    expected = told(lambda: asyncio.run(of_client()))
    with BlockingClient(address) as client:
        found = told(lambda: getattr(client, name)(*needed))
    if name == "submit":  # each submission is a job of its own
        assert [found[0].job_id, expected[0].job_id] == ["job-000002", "job-000001"]
        return
    assert found == expected


async def test_it_works_where_a_loop_runs_already(machine: FakeMachine, address: str) -> None:
    prepared(machine)
    with BlockingClient(address) as client:
        assert client.report("job-000001") == golden()
        assert [job.state for job in client.watch("job-000001")] == [QUEUED, RUNNING, SUCCEEDED]


def test_it_connects_when_it_is_asked_and_again_after_close(machine: FakeMachine, address: str) -> None:
    client = BlockingClient(address)
    client.close()
    for _ in range(2):
        assert client.machine().name == "l3-mini"
        client.close()
    assert client.address == address


def test_errors_are_those_of_the_client(machine: FakeMachine, address: str) -> None:
    with BlockingClient(address) as client, pytest.raises(NotFound, match="no job job-000009"):
        client.get("job-000009")
    with BlockingClient("127.0.0.1:1", call_retries_s=[]) as nobody, pytest.raises(Unreachable):
        nobody.jobs()


@pytest.mark.parametrize("moment", ["__aenter__", "__aexit__"])
def test_no_thread_stays_where_the_connection_fails(
    moment: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise Unreachable("broken")

    before = threading.active_count()
    monkeypatch.setattr(Client, moment, fails)
    client = BlockingClient(address)
    with pytest.raises(Unreachable, match="broken"), client:
        pass
    assert threading.active_count() == before
    client.close()  # there is nothing left to close

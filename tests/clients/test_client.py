import grpc
import numpy as np
import pytest

from l3sim.clients import client as module
from l3sim.clients.client import Client
from l3sim.errors import (
    Conflict,
    InvalidInput,
    L3Error,
    NotFound,
    NotReady,
    OutOfRoom,
    Unreachable,
)
from l3sim.specs.job import JobSpec
from l3sim.specs.requests import Requests
from l3sim.specs.workload import WorkloadSpec
from l3sim.v1 import job_pb2, machine_pb2
from tests.clients.fake_machine import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, FakeMachine, make_job
from tests.reports import GOLDEN, golden

SPEC = JobSpec(WorkloadSpec("openr1", 200))
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def connect(address: str, attempts: int = 3) -> Client:
    return Client(address, call_retries_s=[0.0] * attempts, watch_retries_s=[0.0] * attempts)


async def test_a_lost_answer_is_asked_for_again_and_makes_one_job(machine: FakeMachine, address: str) -> None:
    machine.lose_answers = 2
    machine.warnings = ["odd"]
    async with connect(address) as client:
        job, warnings = await client.submit(SPEC)
    assert (job.job_id, warnings) == ("job-000001", ["odd"])
    assert len(machine.submissions) == 3
    assert len({request.request_id for request in machine.submissions}) == 1
    assert len(machine.accepted) == 1


async def test_submissions_have_ids_of_their_own_unless_given(machine: FakeMachine, address: str) -> None:
    async with connect(address) as client:
        await client.submit(SPEC)
        await client.submit(SPEC)
        await client.submit(SPEC, request_id="mine")
        job, _ = await client.submit(SPEC, request_id="mine")
    assert job.job_id == "job-000003"
    assert len(machine.accepted) == 3


async def test_what_is_submitted_is_the_specification(machine: FakeMachine, address: str) -> None:
    prompt, output, arrival, line = (
        np.array(one, dtype=np.int64) for one in ([5, 6], [7, 8], [0, 9], [2, 3])
    )
    listed = Requests(prompt, output, arrival, line)
    async with connect(address) as client:
        await client.submit(JobSpec(WorkloadSpec("t.csv", listed=listed, speed=2.0), seed=4, spans_rounds=3))
    spec = machine.submissions[0].spec
    assert (spec.seed, spec.spans_rounds, spec.workload.name, spec.workload.speed) == (4, 3, "t.csv", 2.0)
    sent = spec.workload.listed
    assert (list(sent.prompt_tokens), list(sent.output_tokens)) == ([5, 6], [7, 8])
    assert (list(sent.arrival_ps), list(sent.line)) == ([0, 9], [2, 3])


async def test_nobody_answers(machine: FakeMachine, address: str) -> None:
    machine.refusals.extend([UNAVAILABLE] * 3)
    async with connect(address, attempts=2) as client:
        with pytest.raises(Unreachable, match=f"^the machine at {address} does not answer"):
            await client.submit(SPEC)
    assert len(machine.submissions) == 3


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput(("model", "unknown model 'x'"), ("seed", "too big")),
        Conflict("request id 'a' is taken"),
        NotReady("role attention needs 32, has 31"),
        OutOfRoom("no room"),
    ],
)
async def test_refusals_come_back_as_what_they_were(
    machine: FakeMachine, address: str, error: L3Error
) -> None:
    machine.refusals.append(error)
    async with connect(address) as client:
        with pytest.raises(type(error)) as caught:
            await client.submit(SPEC)
    assert str(caught.value) == str(error)
    assert len(machine.submissions) == 1  # what was refused is not asked again


async def test_a_message_above_the_limit_never_leaves(
    machine: FakeMachine, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGE_BYTES", 2**20)
    column = np.full(200_000, 2**40, dtype=np.int64)
    spec = JobSpec(WorkloadSpec("t.csv", listed=Requests(column, column, column, column % 7)))
    async with connect(address) as client:
        with pytest.raises(OutOfRoom) as caught:
            await client.submit(spec)
    text = "the job is 3.6 MiB, more than the 1 MiB of a message; take fewer with --requests"
    assert str(caught.value) == text
    assert machine.submissions == []


async def test_watching_resumes_after_the_last_number_seen(machine: FakeMachine, address: str) -> None:
    machine.streams.extend(
        [
            [make_job(QUEUED, 1), make_job(RUNNING, 4), UNAVAILABLE],
            [UNAVAILABLE],
            [make_job(RUNNING, 6)],  # ends well, but the job has not: a machine that shut down
            [make_job(RUNNING, 7), grpc.StatusCode.CANCELLED],
            [make_job(SUCCEEDED, 9), make_job(SUCCEEDED, 10)],
        ]
    )
    async with connect(address, attempts=2) as client:
        seen = [job.progress.sequence async for job in client.watch("job-000001")]
    assert seen == [1, 4, 6, 7, 9]
    assert machine.watched == [0, 4, 4, 6, 7]


async def test_watching_gives_up_when_nothing_new_comes(machine: FakeMachine, address: str) -> None:
    machine.streams.extend([[make_job(RUNNING, 2), UNAVAILABLE], [UNAVAILABLE], [UNAVAILABLE], [UNAVAILABLE]])
    async with connect(address, attempts=2) as client:
        with pytest.raises(Unreachable):
            [job async for job in client.watch("job-000001")]
    assert machine.watched == [0, 2, 2]


async def test_watching_a_machine_that_ends_every_stream_early(machine: FakeMachine, address: str) -> None:
    machine.streams.extend([[], [], []])
    async with connect(address, attempts=2) as client:
        with pytest.raises(L3Error, match="ended its events of job-000001 before the job ended"):
            [job async for job in client.watch("job-000001")]


async def test_watching_nothing_is_not_retried(machine: FakeMachine, address: str) -> None:
    async with connect(address) as client:
        with pytest.raises(NotFound, match="no job job-000009"):
            [job async for job in client.watch("job-000009")]
    assert machine.watched == [0]


async def test_lists_are_whole_over_pages(machine: FakeMachine, address: str) -> None:
    machine.jobs = [make_job(SUCCEEDED, job_id=f"job-{number:06d}") for number in range(5, 0, -1)]
    machine.page_size = 2
    async with connect(address) as client:
        assert [job.job_id for job in await client.jobs()] == [job.job_id for job in machine.jobs]
        assert (await client.get("job-000003")).job_id == "job-000003"


async def test_what_a_job_left(machine: FakeMachine, address: str) -> None:
    machine.report_json = GOLDEN.replace('"seed": 0', '"seed": 7, "of_a_newer_version": 1')
    machine.artifacts = {"requests.jsonl": [b"one\n", b"two\n"], "empty": []}
    async with connect(address) as client:
        assert await client.report("job-000001") == golden(seed=7)
        assert await client.report_json("job-000001") == machine.report_json
        assert await client.artifact("job-000001", "requests.jsonl") == b"one\ntwo\n"
        assert await client.artifact("job-000001", "empty") == b""
        with pytest.raises(NotFound, match=r"left no spans\.jsonl"):
            await client.artifact("job-000001", "spans.jsonl")


async def test_the_machine_and_its_devices(machine: FakeMachine, address: str) -> None:
    machine.devices = [machine_pb2.DeviceState(device_id="gpu"), machine_pb2.DeviceState(device_id="link")]
    machine.refusals.append(UNAVAILABLE)  # short calls are made again as well
    async with connect(address) as client:
        assert (await client.machine()).name == "l3-mini"
        assert [device.device_id for device in await client.devices()] == ["gpu", "link"]
        assert (await client.cancel("job-000001")).state == CANCELLED


async def test_waiting_ends_with_the_job(machine: FakeMachine, address: str) -> None:
    machine.streams.append([make_job(RUNNING), make_job(SUCCEEDED)])
    machine.streams.append([make_job(FAILED, error=job_pb2.JobError(reason="NOT_READY", message="none"))])
    async with connect(address) as client:
        assert (await client.wait("job-000001")).state == SUCCEEDED
        with pytest.raises(NotReady, match=r"^job-000001 failed: none$"):
            await client.wait("job-000001")


async def test_a_result_has_the_files_that_there_are(machine: FakeMachine, address: str) -> None:
    machine.report_json = GOLDEN
    machine.artifacts = {name: [b"{}"] for name in ("requests.jsonl", "decisions.jsonl", "config.yaml")}
    machine.artifacts["spans.jsonl"] = [b"{}\n", b"{}\n"]
    async with connect(address) as client:
        result = await client.result("job-000001")
        assert result.report == golden()
        assert result.artifacts.keys() == machine.artifacts.keys()
        assert result.spans == [{}, {}]
        del machine.artifacts["config.yaml"]
        with pytest.raises(NotFound, match=r"left no config\.yaml"):
            await client.artifacts("job-000001")


async def test_the_address_is_that_of_the_surroundings(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("L3_ADDRESS", address)
    async with Client() as client:
        assert client.address == address
        assert (await client.machine()).name == "l3-mini"

"""The API over a real server: what is refused and how, pages, streams, health."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from l3sim import PROTOCOL_VERSION, VERSION
from l3sim.errors import DeviceLost
from l3sim.orchestrator.control.server import SERVICES
from l3sim.v1 import job_pb2 as job
from l3sim.v1 import machine_pb2 as machine
from tests.orchestrator.fakes import PROGRESS, device, turns_until
from tests.orchestrator.served import MINI, Api, refused, spec


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with Api(tmp_path) as api:
        yield api


async def test_a_job_runs_from_submission_to_report(api: Api) -> None:
    accepted = (await api.submit(seed=5)).job
    assert (accepted.job_id, accepted.state) == ("job-000001", job.JOB_STATE_QUEUED)
    assert (accepted.model, accepted.policy, accepted.workload) == ("llama-2-7b", "adaptive", "fixed:8:4")
    _, observer = await api.engine.begun.get()
    observer.progress(PROGRESS)
    running = (await api.jobs.GetJob(job.GetJobRequest(job_id="job-000001"), timeout=20)).job
    assert (running.state, running.progress.requests_total) == (job.JOB_STATE_RUNNING, 3)
    api.engine.end({"schema": "l3.report/1"}, requests=b"x" * (3 << 20))
    ended = await api.end("job-000001")
    assert (ended.state, ended.attempts, bool(ended.ended_at)) == (job.JOB_STATE_SUCCEEDED, 1, True)
    assert ended.progress.output_tokens_done == 10
    assert not ended.HasField("error")
    report = await api.jobs.GetReport(job.GetReportRequest(job_id="job-000001"), timeout=20)
    assert '"schema": "l3.report/1"' in report.report_json
    parts = api.jobs.GetArtifact(job.GetArtifactRequest(job_id="job-000001", name="requests"), timeout=20)
    assert [len(part.data) async for part in parts] == [1 << 20] * 3


async def test_a_failed_job_says_why(api: Api) -> None:
    await api.submit()
    api.engine.fail(DeviceLost("dimm-02", "the stream broke"))
    ended = await api.end("job-000001")
    assert (ended.state, ended.error.reason) == (job.JOB_STATE_FAILED, "DEVICE_LOST")
    assert ended.error.message == "lost dimm-02: the stream broke"
    call = api.jobs.GetReport(job.GetReportRequest(job_id="job-000001"), timeout=20)
    reason, message, _ = await refused(call, grpc.StatusCode.FAILED_PRECONDITION)
    assert reason == "NOT_READY"
    assert message.startswith("job-000001 is failed: lost dimm-02: the stream broke; ")


async def test_the_same_request_id_with_another_specification_is_refused(api: Api) -> None:
    first = await api.jobs.SubmitJob(job.SubmitJobRequest(request_id="r", spec=spec()), timeout=20)
    again = await api.jobs.SubmitJob(job.SubmitJobRequest(request_id="r", spec=spec()), timeout=20)
    assert again.job.job_id == first.job.job_id
    other = job.SubmitJobRequest(request_id="r", spec=spec(seed=1))
    call = api.jobs.SubmitJob(other, timeout=20)
    assert (await refused(call, grpc.StatusCode.ALREADY_EXISTS))[0] == "CONFLICT"


@pytest.mark.parametrize(
    ("method", "request_message"),
    [
        ("GetJob", job.GetJobRequest(job_id="job-000009")),
        ("CancelJob", job.CancelJobRequest(job_id="nonsense")),
        ("GetReport", job.GetReportRequest(job_id="")),
        ("WatchJob", job.WatchJobRequest(job_id="job-000009")),
        ("GetArtifact", job.GetArtifactRequest(job_id="job-000009", name="x")),
    ],
)
async def test_an_unknown_job_is_not_found(api: Api, method: str, request_message: Any) -> None:
    call = getattr(api.jobs, method)(request_message, timeout=20)
    first = call.read() if method in ("WatchJob", "GetArtifact") else call
    assert (await refused(first, grpc.StatusCode.NOT_FOUND))[0] == "NOT_FOUND"


async def test_a_job_is_cancelled(api: Api) -> None:
    await api.submit()
    await api.engine.begun.get()
    await api.jobs.CancelJob(job.CancelJobRequest(job_id="job-000001"), timeout=20)
    assert (await api.end("job-000001")).state == job.JOB_STATE_CANCELLED


async def test_a_watcher_that_goes_away_disturbs_nobody(api: Api) -> None:
    await api.submit()
    call = api.jobs.WatchJob(job.WatchJobRequest(job_id="job-000001"), timeout=20)
    seen = (await call.read()).job.progress.sequence
    call.cancel()
    api.engine.end()
    resumed = api.jobs.WatchJob(job.WatchJobRequest(job_id="job-000001", after_sequence=seen), timeout=20)
    events = [event.job async for event in resumed]
    assert events[-1].state == job.JOB_STATE_SUCCEEDED
    assert all(event.progress.sequence > seen for event in events)


async def test_jobs_come_in_pages_newest_first(api: Api) -> None:
    for seed in range(5):
        await api.submit(seed=seed)
    ids, token = [], ""
    while True:
        page = await api.jobs.ListJobs(job.ListJobsRequest(page_size=2, page_token=token), timeout=20)
        ids.append([each.job_id for each in page.jobs])
        token = page.next_page_token
        if not token:
            break
    assert ids == [["job-000005", "job-000004"], ["job-000003", "job-000002"], ["job-000001"]]


async def test_the_machine_says_what_it_is(api: Api) -> None:
    answer = await api.machines.GetMachine(machine.GetMachineRequest(), timeout=20)
    assert (answer.name, answer.version, answer.protocol_version) == ("l3-mini", VERSION, PROTOCOL_VERSION)
    assert (answer.ready, answer.digest, answer.default_model) == (True, MINI.digest, "llama-2-7b")
    assert {"l3", "fill", "serial"} <= set(answer.policies)
    assert {"gpt-175b", "llama-2-70b"} <= set(answer.models)
    assert {"openr1", "fixed:IN:OUT"} <= set(answer.workloads)
    assert "rank_capacity_bytes" in answer.resolved_yaml


async def test_devices_come_in_pages_with_their_slots(api: Api) -> None:
    api.announce("a:9", device("stranger", "attention", "hbm-pim"))
    await turns_until(lambda: "who answers" in api.discovery.devices()[-1].reason)
    rows, token = [], ""
    while True:
        request = machine.ListDevicesRequest(page_size=3, page_token=token)
        page = await api.machines.ListDevices(request, timeout=20)
        assert len(page.devices) <= 3
        rows += [(each.device_id, each.slot, each.state) for each in page.devices]
        token = page.next_page_token
        if not token:
            break
    assert rows == [
        ("gpu-0", "gpu", "ready"),
        ("link-0", "link", "ready"),
        *((f"pim-{number}", f"dimm-0{number}", "ready") for number in range(4)),
        ("stranger", "", "unreachable"),
    ]
    assert (
        page.devices[0].reason == "has not answered yet at a:9"
        or "is not who answers" in page.devices[0].reason
    )


async def test_health_follows_the_server(api: Api) -> None:
    stub = health_pb2_grpc.HealthStub(api.channel)
    for service in ("", *SERVICES):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert api.health_file.exists()
    await api.server.not_serving()
    answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert not api.health_file.exists()


async def test_reflection_lists_the_services(api: Api) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(api.channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    call = stub.ServerReflectionInfo(iter([question]), timeout=20)
    (answer,) = [answer async for answer in call]
    assert set(SERVICES) <= {each.name for each in answer.list_services_response.service}


async def test_what_nobody_foresaw_is_told_in_one_line(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk\non fire")

    monkeypatch.setattr(api.journal, "page", broken)
    call = api.jobs.ListJobs(job.ListJobsRequest(), timeout=20)
    reason, message, _ = await refused(call, grpc.StatusCode.UNKNOWN)
    assert reason == "INTERNAL"
    assert message == "ListJobs: OSError: disk on fire; the orchestrator's log has more"
    assert "ListJobs failed" in caplog.text

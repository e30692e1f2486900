"""What the API refuses, by code, reason and field."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from l3sim.transport.presence import OFFLINE
from l3sim.v1 import job_pb2 as job
from l3sim.v1 import machine_pb2 as machine
from tests.orchestrator.fakes import mini_devices, turns_until
from tests.orchestrator.served import Api, refused, spec


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with Api(tmp_path) as api:
        yield api


def listed(**changes: Any) -> Any:
    values = {"prompt_tokens": [1, 2], "output_tokens": [3, 4], "arrival_ps": [0, 5], "line": [1, 2]}
    return job.Workload(name="t", listed=job.ListedRequests(**(values | changes)))


def named(name: str, requests: int = 3, **changes: Any) -> Any:
    return job.Workload(name=name, generated=job.GeneratedRequests(requests=requests), **changes)


BAD_SPECS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "model": (lambda: spec(model_name="gpt-9"), "model", "unknown model 'gpt-9'"),
    "model that is a file": (lambda: spec(model_name="/etc/hostname"), "model", "unknown model"),
    "machine": (lambda: spec(machine="other"), "machine", "this machine is 'l3-mini', not 'other'"),
    "policy": (lambda: spec(policy="best"), "policy", "unknown policy 'best'"),
    "no workload": (job.JobSpec, "workload", "is missing"),
    "workload": (lambda: spec(workload=named("openr2")), "workload", "did you mean 'openr1'?"),
    "no requests": (lambda: spec(workload=named("openr1", 0)), "workload.requests", "must be 1 to"),
    "rate": (lambda: spec(workload=named("openr1", rate=-1)), "workload.rate", "must be above 0"),
    "lengths differ": (
        lambda: spec(workload=listed(output_tokens=[1])),
        "workload.listed.output_tokens",
        "must be as long as prompt_tokens (2), got 1",
    ),
    "zero tokens": (
        lambda: spec(workload=listed(output_tokens=[1, 0])),
        "workload.listed.output_tokens[1]",
        "line 2: must be 1 to",
    ),
    "out of order": (
        lambda: spec(workload=listed(arrival_ps=[5, 0])),
        "workload.listed.arrival_ps[1]",
        "line 2: time is before",
    ),
    "too long": (
        lambda: spec(workload=listed(output_tokens=[1, 10**8])),
        "workload.requests[1]",
        "line 2: needs 100000001 tokens of KV",
    ),
    "setting": (
        lambda: spec(settings=[job.Setting(key="attention.memory", value="1")]),
        "attention.memory",
        "unknown key 'memory'",
    ),
    "tp": (lambda: spec(tp=9), "tp", "must be 1 to 1"),
}


@pytest.mark.parametrize("name", BAD_SPECS)
async def test_a_bad_specification_is_refused_by_field(api: Api, name: str) -> None:
    make, field, text = BAD_SPECS[name]
    call = api.jobs.SubmitJob(job.SubmitJobRequest(spec=make()), timeout=20)
    reason, message, violations = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
    assert reason == "INVALID_INPUT"
    assert field in violations
    assert text in violations[field]
    assert "\n" not in message
    assert (await api.jobs.ListJobs(job.ListJobsRequest(), timeout=20)).jobs == []


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (job.SubmitJobRequest(), "spec"),
        (job.SubmitJobRequest(spec=spec(), request_id="x" * 201), "request_id"),
    ],
)
async def test_a_bad_submission_is_refused_by_field(api: Api, request_message: Any, field: str) -> None:
    call = api.jobs.SubmitJob(request_message, timeout=20)
    assert field in (await refused(call, grpc.StatusCode.INVALID_ARGUMENT))[2]


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "9" * 30])
async def test_a_bad_page_token_is_refused(api: Api, token: str) -> None:
    call = api.jobs.ListJobs(job.ListJobsRequest(page_token=token), timeout=20)
    assert "page_token" in (await refused(call, grpc.StatusCode.INVALID_ARGUMENT))[2]


async def test_a_message_above_the_limit_is_refused(api: Api) -> None:
    huge = job.SubmitJobRequest(request_id="x" * (64 * 2**20), spec=spec())
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.jobs.SubmitJob(huge, timeout=20)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_machine_with_a_role_unfilled_accepts_nothing(api: Api) -> None:
    address, gpu = mini_devices()[0]
    api.announce(address, gpu, OFFLINE)
    await turns_until(lambda: len(api.discovery.present()) == 5)
    code = grpc.StatusCode.FAILED_PRECONDITION
    reason, message, _ = await refused(api.submit(), code)
    assert (reason, "role gpu needs 1 of kind gpu, present 0" in message) == ("NOT_READY", True)
    answer = await api.machines.GetMachine(machine.GetMachineRequest(), timeout=20)
    assert not answer.ready
    assert [(role.role, role.needed, role.present) for role in answer.roles] == [
        ("gpu", 1, 0),
        ("attention", 4, 4),
        ("link", 1, 1),
    ]

"""The composition, for real: built, brought up, given jobs over gRPC, scaled, hurt, and taken down.

this test ──docker compose──> mosquitto, orchestrator, gpu, interconnect, attention x N
    └──gRPC on a published port──> orchestrator ──gRPC──> the devices
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from l3sim.v1 import job_pb2
from tests.compose.composition import (
    ROOT,
    Composition,
    compose_command,
    host_l3,
    missing,
    run,
)

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]

#: Built by the tests, so that a user's own image keeps its name.
IMAGE = "l3sim:under-test"
MODULES = 32
JOB = ["fixed:64:16", "--requests", "20"]


@pytest.fixture(scope="module")
def image() -> str:
    """The project's image, built by Compose from the public base images or their stand-ins."""
    if reason := missing():
        if os.environ.get("L3_REQUIRE_DOCKER") == "1":
            pytest.fail(f"L3_REQUIRE_DOCKER=1, but {reason}")
        pytest.skip(f"the composition was NOT tested: {reason}")
    run(["sh", str(ROOT / "tests/compose/stand_ins.sh")])
    run(
        [*compose_command(), "-f", "docker-compose.yml", "-p", "l3test", "build"],
        environment=os.environ | {"L3_IMAGE": IMAGE},
    )
    return IMAGE


@pytest.fixture(scope="module")
def packed(image: str) -> Iterator[Composition]:
    """The machine with its 32 modules in 4 containers; each test leaves it ready."""
    with Composition(image, containers=4) as machine:
        yield machine


@pytest.fixture(scope="module")
def in_process() -> dict[str, Any]:
    """The report of the job without any network."""
    done = host_l3("run", *JOB, "--machine", "l3-dgx-a100", "--in-process", "--json")
    assert done.returncode == 0, done.stderr
    return report_of(done.stdout)


def report_of(output: str) -> dict[str, Any]:
    """A report without the one part that may differ between runs."""
    report: dict[str, Any] = json.loads(output)
    assert report.pop("exchange")["windows"] > 0
    return report


def submit_from_host(machine: Composition) -> dict[str, Any]:
    done = host_l3("submit", *JOB, "--wait", "--json", "--address", machine.address)
    assert done.returncode == 0, done.stderr
    return report_of(done.stdout)


def a_long_job(machine: Composition) -> str:
    """Submit a job of many seconds and return its id once it is under way."""
    workload = job_pb2.Workload(name="openr1", generated=job_pb2.GeneratedRequests(requests=20_000))
    request = job_pb2.SubmitJobRequest(spec=job_pb2.JobSpec(workload=workload))
    answer = machine.jobs.SubmitJob(request, timeout=30)

    job_id: str = answer.job.job_id
    for event in machine.jobs.WatchJob(job_pb2.WatchJobRequest(job_id=job_id), timeout=120):
        if event.job.state == job_pb2.JOB_STATE_RUNNING and event.job.progress.output_tokens_done:
            return job_id
    raise AssertionError(f"{job_id} ended before it was under way: {job(machine, job_id)}")


def job(machine: Composition, job_id: str) -> job_pb2.Job:
    found: job_pb2.Job = machine.jobs.GetJob(job_pb2.GetJobRequest(job_id=job_id), timeout=10).job
    return found


def until_ended(machine: Composition, job_id: str) -> job_pb2.Job:
    for _ in machine.jobs.WatchJob(job_pb2.WatchJobRequest(job_id=job_id), timeout=120):
        pass
    return job(machine, job_id)


def test_every_container_becomes_healthy(packed: Composition) -> None:
    packed.until_healthy()


def test_a_job_from_the_host_reports_what_the_in_process_machine_does(
    packed: Composition, in_process: dict[str, Any]
) -> None:
    assert in_process["requests"]["completed"] == 20
    assert submit_from_host(packed) == in_process


def test_a_job_from_the_client_container_reports_the_same(
    packed: Composition, in_process: dict[str, Any]
) -> None:
    output = packed.compose("run", "--rm", "-T", "client", "submit", *JOB, "--wait", "--json")
    assert report_of(output) == in_process


def test_no_container_has_more_rights_than_it_needs(packed: Composition) -> None:
    services = ("mosquitto", "orchestrator", "gpu", "interconnect", "attention")
    for container in (packed.inspect(one) for service in services for one in packed.containers_of(service)):
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], container["Name"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert container["Config"]["User"] not in ("", "0", "root")
        bindings = [binding for bound in (host["PortBindings"] or {}).values() for binding in bound]
        assert {binding["HostIp"] for binding in bindings} <= {"127.0.0.1"}


def test_a_stopped_container_is_missed_by_role_and_a_new_one_takes_its_place(packed: Composition) -> None:
    gone = packed.containers_of("attention")[0]
    run(["docker", "stop", gone])
    packed.until(lambda: packed.present("attention") == MODULES - 8, "8 modules are gone")
    refused = host_l3("submit", *JOB, "--wait", "--address", packed.address)
    assert refused.returncode == 3
    assert re.search(r"attention.*\b32\b.*\b24\b", refused.stderr), refused.stderr
    # A swap removes and creates; the newcomer has another id, and the machine is whole again.
    run(["docker", "rm", gone])
    packed.up(4)
    packed.until_ready()
    assert gone not in packed.containers_of("attention")


def test_more_containers_than_slots_are_spares(packed: Composition, in_process: dict[str, Any]) -> None:
    packed.up(5)
    packed.until(lambda: packed.present("attention") == MODULES + 8, "8 spares are there")
    spares = [device for device in packed.devices() if device.state == "ready" and not device.slot]
    assert len(spares) == 8
    assert submit_from_host(packed) == in_process
    packed.up(4)
    packed.until(lambda: packed.present("attention") == MODULES, "the spares are gone")
    assert packed.machine().ready  # type: ignore[union-attr]


def test_a_killed_module_container_fails_the_job_by_slot(packed: Composition) -> None:
    job_id = a_long_job(packed)
    victim = packed.containers_of("attention")[0]
    lost = {device.slot for device in packed.devices() if victim[:12] in device.device_id}
    assert len(lost) == 8
    run(["docker", "kill", victim])
    ended = until_ended(packed, job_id)
    assert ended.state == job_pb2.JOB_STATE_FAILED
    assert ended.error.reason == "DEVICE_LOST"
    named = set(re.findall(r"dimm-\d+", ended.error.message))
    assert named, ended.error.message
    assert named <= lost
    packed.up(4)
    packed.until_ready()


def test_a_crashed_module_process_comes_back_by_itself(packed: Composition) -> None:
    victim = packed.containers_of("attention")[0]
    assert packed.inspect(victim)["RestartCount"] == 0
    # -1: everybody but the container's own init and the shell itself.
    run(["docker", "exec", victim, "sh", "-c", "kill -9 -1"])
    packed.until(lambda: packed.inspect(victim)["RestartCount"] == 1, "Docker started it again")
    packed.until_ready()


def test_a_killed_orchestrator_keeps_its_jobs(packed: Composition, in_process: dict[str, Any]) -> None:
    long_one = a_long_job(packed)
    before = {one.job_id for one in packed.jobs.ListJobs(job_pb2.ListJobsRequest(), timeout=10).jobs}
    run(["docker", "kill", *packed.containers_of("orchestrator")])
    packed.up(4)
    packed.until_ready()
    request = job_pb2.ListJobsRequest()
    assert before <= {
        one.job_id for one in packed.jobs.ListJobs(request, timeout=30, wait_for_ready=True).jobs
    }
    packed.jobs.CancelJob(job_pb2.CancelJobRequest(job_id=long_one), timeout=10)
    assert until_ended(packed, long_one).state == job_pb2.JOB_STATE_CANCELLED
    assert submit_from_host(packed) == in_process


def test_a_killed_broker_stops_no_job_and_discovery_returns(
    packed: Composition, in_process: dict[str, Any]
) -> None:
    job_id = a_long_job(packed)
    run(["docker", "kill", *packed.containers_of("mosquitto")])
    done = job(packed, job_id).progress.output_tokens_done
    packed.until(lambda: job(packed, job_id).progress.output_tokens_done > done, "the job goes on")
    packed.jobs.CancelJob(job_pb2.CancelJobRequest(job_id=job_id), timeout=10)
    assert until_ended(packed, job_id).state == job_pb2.JOB_STATE_CANCELLED
    packed.up(4)
    packed.until_ready()
    assert submit_from_host(packed) == in_process


def test_the_number_of_modules_is_set_for_composition_and_machine_alike(image: str) -> None:
    with Composition(image, containers=4, modules=4) as machine:
        assert len(machine.containers_of("attention")) == 4
        answer = machine.machine()
        assert answer is not None
        assert {role.role: (role.needed, role.present) for role in answer.roles}["attention"] == (4, 4)
        assert submit_from_host(machine)["requests"]["completed"] == 20


def test_32_containers_of_one_module_and_nothing_left_behind(image: str, in_process: dict[str, Any]) -> None:
    with Composition(image, containers=MODULES) as machine:
        assert len(machine.containers_of("attention")) == MODULES
        assert submit_from_host(machine) == in_process
        assert machine.leftovers()
    assert machine.leftovers() == []

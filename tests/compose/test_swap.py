"""Devices of a composition that runs, swapped by `./l3 swap`: by kind, by image and by address.

attention  dimm-pim ──> hbm-pim       of the project's image, in containers of their own
link       interconnect ──> slower    an image of somebody else's
link       ──> HOST:PORT              a container that announces itself to nobody
"""

import io
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from l3sim.v1 import job_pb2
from tests.compose.composition import Composition, host_l3, run
from tests.compose.test_compose import a_long_job, image, report_of, until_ended

__all__ = ["image"]
pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]

SLOWER = "l3sim-slower-link:under-test"
#: No level of DIMM-PIM that would build tables first.
QUICK = ["fixed:64:4", "--requests", "4", "--model", "llama-2-7b"]
HBM = "hbm-pim-dgx-a100"


@pytest.fixture(scope="module")
def machine(image: str) -> Iterator[Composition]:
    """The reference machine in few containers; its tests follow each other."""
    with Composition(image, containers=2) as machine:
        yield machine


@pytest.fixture
def slower_link(image: str) -> Iterator[str]:
    """An image that runs by itself a link whose transfers take longer to set up."""
    engine = docker.from_env()
    command = '["python", "-m", "l3sim.transport.serve", "interconnect", "--override", "setup_us=50"]'
    built = io.BytesIO(f"FROM {image}\nCMD {command}\n".encode())
    engine.images.build(fileobj=built, tag=SLOWER, rm=True)
    yield SLOWER
    engine.images.remove(SLOWER, force=True)
    engine.close()


def swap(machine: Composition, *words: str) -> str:
    done = host_l3("swap", *words, "--project", machine.project)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(machine: Composition, *words: str) -> str:
    before = sorted(machine.everybody())
    done = host_l3("swap", *words, "--project", machine.project)
    assert (done.returncode, done.stdout) in {(2, ""), (3, "")}, done.stdout
    assert done.stderr.count("\n") == 1
    assert sorted(machine.everybody()) == before
    return done.stderr


def report(machine: Composition, *words: str) -> dict[str, Any]:
    done = host_l3("submit", *QUICK, *words, "--wait", "--json", "--address", machine.address)
    assert done.returncode == 0, done.stderr
    return report_of(done.stdout)


def named(report: dict[str, Any], role: str) -> set[tuple[str, str]]:
    """Kinds and overrides of the devices of a role, as a report names them."""
    devices = report["provenance"]["devices"]
    return {(one["kind"], one["overrides"]) for one in devices if one["role"] == role}


def in_process(machine: str) -> dict[str, Any]:
    done = host_l3("run", *QUICK, "--machine", machine, "--in-process", "--json")
    assert done.returncode == 0, done.stderr
    return report_of(done.stdout)


def test_jobs_before_and_after_a_swap_name_different_devices(machine: Composition) -> None:
    before = report(machine, "--set", "attention.level=roofline")
    assert named(before, "attention") == {("dimm-pim", "{}")}
    old = machine.containers_of("attention")
    said = swap(machine, "attention", "--with", "hbm-pim", "--machine", HBM)
    assert said == (f"attention: 32 x dimm-pim (l3-dgx-a100) -> 40 x hbm-pim ({HBM}); new jobs run on it\n")
    after = report(machine)
    assert named(after, "attention") == {("hbm-pim", "{}")}
    assert after == in_process(HBM)
    new = machine.containers_of("attention")
    assert len(new) == 2
    assert not set(old) & set(new)


def test_a_new_container_has_no_more_rights_than_the_old_one(machine: Composition) -> None:
    for container in map(machine.inspect, machine.containers_of("attention")):
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges:true"])
        assert container["Config"]["User"] not in ("", "0", "root")
        assert not host["PortBindings"]
        run(["docker", "exec", container["Id"], "test", "-f", "/run/l3/healthy"])


def test_a_swap_outlives_a_crash_of_the_orchestrator(machine: Composition) -> None:
    (orchestrator,) = machine.containers_of("orchestrator")
    run(["docker", "exec", orchestrator, "sh", "-c", "kill -9 -1"])
    machine.until(lambda: machine.inspect(orchestrator)["RestartCount"] == 1, "Docker started it again")
    machine.until_ready()
    answer = machine.machine()
    assert answer is not None
    assert answer.name == HBM


def test_an_image_of_somebody_elses_takes_the_link(machine: Composition, slower_link: str) -> None:
    swap(machine, "link", "--with", slower_link)
    assert named(report(machine), "link") == {("interconnect", '{"setup_us": 50}')}


def test_an_address_takes_the_link(machine: Composition, image: str) -> None:
    network = f"{machine.project}_machine"
    silent = [
        "python",
        "-m",
        "l3sim.transport.serve",
        "interconnect",
        "--listen",
        "0.0.0.0:7601",
        "--override",
        "setup_us=9",
    ]
    (container,) = run(["docker", "run", "-d", "--rm", "--network", network, image, *silent]).split()
    try:
        address = f"{machine.inspect(container)['NetworkSettings']['Networks'][network]['IPAddress']}:7601"
        machine.until(lambda: "ready" in run(["docker", "logs", container]), "it serves")
        swap(machine, "link", "--with", address)
        assert machine.containers_of("interconnect") == []
        assert named(report(machine), "link") == {("interconnect", '{"setup_us": 9}')}
        swap(machine, "link", "--with", "interconnect")
        assert named(report(machine), "link") == {("interconnect", "{}")}
    finally:
        run(["docker", "kill", container])


def test_what_cannot_be_is_refused_and_leaves_everything_as_it_was(machine: Composition) -> None:
    assert "'nobody/built-it:1' is no kind of role link (interconnect), no HOST:PORT and no image" in refused(
        machine, "link", "--with", "nobody/built-it:1"
    )
    # Ends at once: `python -m l3sim --help`.
    image = machine.inspect(machine.containers_of("gpu")[0])["Config"]["Image"]
    assert "ended before its devices were there" in refused(machine, "link", "--with", image)
    assert "does not answer" in refused(machine, "link", "--with", "127.0.0.1:9")
    job_id = a_long_job(machine)
    assert f"{job_id} has not ended" in refused(machine, "link", "--with", "interconnect")
    machine.jobs.CancelJob(job_pb2.CancelJobRequest(job_id=job_id), timeout=10)
    until_ended(machine, job_id)


def test_another_machine_is_composed_by_its_name_alone(image: str) -> None:
    with Composition(image, containers=1, machine=HBM) as machine:
        assert report(machine) == in_process(HBM)
        swap(machine, "attention", "--with", "gpu", "--machine", "gpu-only-dgx-a100")
        assert machine.containers_of("attention") == []
        assert {one["slot"] for one in report(machine, "--policy", "chunked")["provenance"]["devices"]} == {
            "gpu"
        }
        swap(machine, "attention", "--with", "cpu-attention")
        assert named(report(machine), "attention") == {("cpu-attention", "{}")}
    assert machine.leftovers() == []

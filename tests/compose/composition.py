"""A machine under Docker Compose, as a test uses it: up, asked over gRPC, disturbed, always taken down."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import grpc

from l3sim.transport.channels import CLIENT_OPTIONS
from l3sim.v1 import job_pb2_grpc, machine_pb2, machine_pb2_grpc

ROOT = Path(__file__).parents[2]
#: Starting three dozen Python processes on two busy cores takes a while.
PATIENCE_S = 240.0


def compose_command() -> list[str]:
    """`docker compose` where Docker knows it, else `docker-compose`."""
    known = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if known.returncode == 0 else ["docker-compose"]


def missing() -> str | None:
    """Why no composition can run here; None when one can."""
    if shutil.which("docker") is None:
        return "no docker command; install docker.io and docker-compose"
    engine = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if engine.returncode != 0:
        return "no Docker engine answers; start dockerd"
    command = compose_command()
    if shutil.which(command[0]) is None:
        return "no docker compose and no docker-compose; install one"
    return None


def run(command: Sequence[str], *, environment: dict[str, str] | None = None) -> str:
    """Run to the end and return standard output; fail with everything it said."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{list(command)} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def docker(*arguments: str) -> list[str]:
    """Lines that a docker command prints."""
    return run(["docker", *arguments]).splitlines()


def host_l3(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line on this computer, outside any container."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("L3_")}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, "-P", "-m", "l3sim", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Composition:
    """A machine of its own name and port; a context manager that brings it up, and down with its volumes.

    Args:
        containers: that share its attention modules.
        modules: instead of the machine file's number.
    """

    def __init__(
        self, image: str, containers: int, modules: int | None = None, machine: str = "l3-dgx-a100"
    ) -> None:
        self.project = f"l3test{uuid.uuid4().hex[:8]}"
        self._mine = f"label=com.docker.compose.project={self.project}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        # Each setting is given, so that a user's .env changes nothing.
        self._environment = os.environ | {
            "L3_MACHINE": machine,
            "L3_MODULES": str(modules or ""),
            "L3_GPU": "",
            "L3_CONTAINERS": str(containers),
            "L3_BIND": "127.0.0.1",
            "L3_PORT": str(port),
            "L3_DATA": ".",
            "L3_IMAGE": image,
        }

    def __enter__(self) -> Self:
        try:
            self.up()
            self.until_ready()
        except BaseException:
            self.down()
            raise
        channel = self._channel = grpc.insecure_channel(self.address, options=CLIENT_OPTIONS)
        self.jobs = job_pb2_grpc.JobServiceStub(channel)
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self.down()

    def compose(self, *arguments: str) -> str:
        """What a command of Compose prints about this machine."""
        command = [*compose_command(), "-f", "docker-compose.yml", "-p", self.project, *arguments]
        return run(command, environment=self._environment)

    def up(self, containers: int | None = None) -> None:
        """Bring up what is not, with so many module containers; what runs keeps running."""
        scale = [] if containers is None else ["--scale", f"attention={containers}"]
        self.compose("up", "-d", "--no-build", "--no-recreate", *scale)

    def down(self) -> None:
        """Remove everything that belongs to this machine."""
        self.compose("down", "-v", "--remove-orphans", "-t", "5")

    def leftovers(self) -> list[str]:
        """Containers, networks and volumes that bear the project's name."""
        kinds = (["container", "ls", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"])
        return [line for kind in kinds for line in docker(*kind, "--filter", self._mine)]

    def containers_of(self, service: str) -> list[str]:
        """Full ids of a service's containers, whatever their state."""
        service_label = f"label=com.docker.compose.service={service}"
        return docker("ps", "-aq", "--no-trunc", "--filter", self._mine, "--filter", service_label)

    def everybody(self) -> list[str]:
        """Full ids of all containers, whatever their state."""
        return docker("ps", "-aq", "--no-trunc", "--filter", self._mine)

    def inspect(self, container: str) -> dict[str, Any]:
        """Everything that Docker knows of a container."""
        found: dict[str, Any] = json.loads("\n".join(docker("inspect", container)))[0]
        return found

    def machine(self) -> machine_pb2.GetMachineResponse | None:
        """What the orchestrator says of the machine; None while nobody answers."""
        # A channel of its own each time: a kept one waits ever longer before it tries again.
        with grpc.insecure_channel(self.address, options=CLIENT_OPTIONS) as channel:
            stub = machine_pb2_grpc.MachineServiceStub(channel)
            try:
                answer: machine_pb2.GetMachineResponse
                answer = stub.GetMachine(machine_pb2.GetMachineRequest(), timeout=5)
            except grpc.RpcError:
                return None
        return answer

    def devices(self) -> list[machine_pb2.DeviceState]:
        """Everybody who announced themselves, ready or not."""
        with grpc.insecure_channel(self.address, options=CLIENT_OPTIONS) as channel:
            stub = machine_pb2_grpc.MachineServiceStub(channel)
            return list(stub.ListDevices(machine_pb2.ListDevicesRequest(), timeout=5).devices)

    def present(self, role: str) -> int:
        """Ready devices of a role; -1 while the orchestrator does not answer."""
        answer = self.machine()
        return next((state.present for state in answer.roles if state.role == role), -1) if answer else -1

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for other processes, which can only be asked again and again."""
        end = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > end:
                logs = self.compose("logs", "--tail", "10")
                raise AssertionError(
                    f"waited {PATIENCE_S:.0f} s in vain: {what}\n{self.compose('ps')}\n{logs}"
                )
            time.sleep(0.5)

    def until_ready(self) -> None:
        """Wait until every role has as many ready devices as it has slots."""
        self.until(lambda: bool((answer := self.machine()) and answer.ready), "the machine is ready")

    def until_healthy(self) -> None:
        """Wait until Docker calls every container healthy."""
        everybody = ["ps", "--filter", self._mine, "--format", "{{.Names}} {{.Status}}"]
        self.until(lambda: all("(healthy)" in line for line in docker(*everybody)), "everybody is healthy")

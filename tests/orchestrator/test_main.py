"""The orchestrator as a process: ready line, signals, lifeline, refusals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from l3sim.specs.catalog import machine_names
from l3sim.transport.channels import CLIENT_OPTIONS
from l3sim.transport.probe import probe
from l3sim.v1 import machine_pb2, machine_pb2_grpc

#: Nobody listens there; the orchestrator goes on trying, and serves all the same.
NO_BROKER = "127.0.0.1:9"
SILENT = ["--machine", "l3-mini", "--bus", NO_BROKER]


def command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "l3sim.orchestrator", *arguments]


@contextmanager
def orchestrator(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A process that has said that it is ready, and what it said."""
    everything = [*SILENT, "--state", str(folder / "state"), *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command(everything), stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    with process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_it_serves_without_a_broker_and_stops_when_told(tmp_path: Path) -> None:
    health = tmp_path / "healthy"
    with orchestrator(tmp_path, "--health-file", str(health), "--modules", "2") as (process, ready):
        assert (ready["event"], ready["pid"]) == ("ready", process.pid)
        assert probe(ready["address"]) == "SERVING"
        assert health.exists()
        with grpc.insecure_channel(ready["address"], options=CLIENT_OPTIONS) as channel:
            stub = machine_pb2_grpc.MachineServiceStub(channel)
            machine = stub.GetMachine(machine_pb2.GetMachineRequest(), timeout=20)
        assert [(role.needed, role.present) for role in machine.roles] == [(1, 0), (2, 0), (1, 0)]
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        assert process.returncode == 0
        assert not health.exists()
        lines = [json.loads(line) for line in log.splitlines()]
        assert [line["message"] for line in lines if line["logger"] == "orchestrator"] == ["ready", "stopped"]


def test_it_stops_when_its_parent_dies(tmp_path: Path) -> None:
    with orchestrator(tmp_path, "--lifeline") as (process, _):
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_a_second_one_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with orchestrator(tmp_path):
        assert refusal([*SILENT, "--state", str(tmp_path / "state")]) == (
            3,
            f"l3: error: state folder {tmp_path}/state belongs to a running orchestrator; stop it first\n",
        )


def refusal(arguments: Sequence[str], **environment: str) -> tuple[int, str]:
    """Exit code and stderr of a process that does not start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("L3_")}
    done = subprocess.run(
        command(arguments),
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        ([], {}, "l3: error: bus: give --bus HOST:PORT (or $L3_BUS), where devices announce themselves\n"),
        (
            ["--bus", NO_BROKER],
            {},
            "l3: error: state: give --state FOLDER (or $L3_STATE), where jobs are kept\n",
        ),
        (["--bus", "nonsense", "--state", "x"], {}, "l3: error: bus: must be HOST:PORT, got 'nonsense'\n"),
        (["--bogus"], {}, "l3: error: unrecognized arguments: --bogus; see --help\n"),
        (
            ["--bus", NO_BROKER, "--state", "x"],
            {"L3_MACHINE": "l3-max"},
            "l3: error: machine: unknown machine 'l3-max'; did you mean 'l3-mini'? "
            f"(there are: {', '.join(machine_names())})\n",
        ),
        (
            [*SILENT, "--state", "x"],
            {"L3_MODULES": "many"},
            "l3: error: argument --modules: invalid int value: 'many'; see --help\n",
        ),
    ],
)
def test_what_it_cannot_start_with_is_refused_in_one_line(
    arguments: list[str], environment: dict[str, str], text: str
) -> None:
    assert refusal(arguments, **environment) == (2, text)

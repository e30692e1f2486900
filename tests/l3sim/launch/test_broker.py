"""The embedded broker as a process: retained messages, last wills, and an end in every way."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import aiomqtt
import pytest

from tests.root import ROOT

COMMAND = [sys.executable, "-P", "-m", "l3sim.launch.broker"]


def start(*options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def broker() -> Iterator["subprocess.Popen[str]"]:
    process = start("--lifeline")
    with process:
        yield process
        process.kill()


def address_of(process: "subprocess.Popen[str]") -> tuple[str, int]:
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert (ready["event"], ready["pid"]) == ("ready", process.pid)
    host, _, port = ready["address"].partition(":")
    return host, int(port)


def field(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


def packet(kind: int, body: bytes) -> bytes:
    return bytes([kind, len(body)]) + body


async def test_it_keeps_retained_messages_and_speaks_last_wills(broker: "subprocess.Popen[str]") -> None:
    host, port = address_of(broker)
    topic = b"l3/m/devices/a"
    # CONNECT of MQTT 3.1.1: clean session, a retained last will of QoS 1, 60 s of keep-alive.
    connect = packet(
        0x10, field(b"MQTT") + bytes([4, 0x2E, 0, 60]) + field(b"a") + field(topic) + field(b"offline")
    )
    async with asyncio.timeout(20):
        async with aiomqtt.Client(host, port) as listener:
            await listener.subscribe("l3/m/devices/+", qos=1)
            _, dying = await asyncio.open_connection(host, port)
            dying.write(connect + packet(0x31, field(topic) + b"ready"))
            assert (await anext(listener.messages)).payload == b"ready"
            dying.close()  # as the kernel does for a killed process: no DISCONNECT
            assert (await anext(listener.messages)).payload == b"offline"
        async with aiomqtt.Client(host, port) as late:
            await late.subscribe("l3/m/#", qos=1)
            message = await anext(late.messages)
            assert (message.payload, message.retain) == (b"offline", True)
    broker.terminate()
    assert broker.wait(timeout=20) == 0
    assert broker.stderr is not None
    assert broker.stderr.read() == ""


def test_it_leaves_when_its_parent_has_died(broker: "subprocess.Popen[str]") -> None:
    address_of(broker)
    assert broker.stdin is not None
    broker.stdin.close()
    assert broker.wait(timeout=20) == 0


def test_it_comes_back_at_its_port_after_a_kill(broker: "subprocess.Popen[str]") -> None:
    host, port = address_of(broker)
    with socket.create_connection((host, port)):
        broker.send_signal(signal.SIGKILL)
        broker.wait(timeout=20)
        with start("--lifeline", "--listen", f"{host}:{port}") as again:
            assert address_of(again) == (host, port)
            again.kill()


@pytest.mark.parametrize(
    ("listen", "text"),
    [
        ("nowhere", "l3: error: listen: must be HOST:PORT, got 'nowhere'\n"),
        ("203.0.113.1:1", "l3: error: listen: cannot bind 203.0.113.1:1: "),
    ],
)
def test_it_says_why_it_cannot_listen(listen: str, text: str) -> None:
    done = subprocess.run(
        [*COMMAND, "--listen", listen],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(text)
    assert done.stderr.count("\n") == 1

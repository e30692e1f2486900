"""Device processes from start to end: ready line, health, presence, drain, refusals."""

import asyncio
import gc
import json
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from l3sim import PROTOCOL_VERSION
from l3sim.ports import DeviceSession
from l3sim.testing import FakeDevice
from l3sim.testing.builders import small_hello
from l3sim.transport.bus import MqttBus
from l3sim.transport.channels import open_channel
from l3sim.transport.grpc_port import GrpcPort, describe
from l3sim.transport.server import SERVICE, DeviceServer
from l3sim.transport.topics import device_topic, from_json
from l3sim.v1.bus_pb2 import Presence
from l3sim.work import Hello
from tests.l3sim.transport.conftest import LocalBroker
from tests.l3sim.transport.processes import device_process, start
from tests.l3sim.transport.test_bus import next_of

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def exit_of(process: asyncio.subprocess.Process) -> tuple[int, list[str]]:
    _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode().splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopping_process_says_so_first_and_ends_what_it_began(
    tmp_path: Path, number: signal.Signals
) -> None:
    health_file = tmp_path / "made" / "healthy"
    async with device_process("--health-file", str(health_file)) as (process, address):
        assert health_file.exists()
        port = GrpcPort(address)
        await port.hello(small_hello())
        async with open_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            watches = [stub.Watch(health_pb2.HealthCheckRequest(service=name)) for name in ("", SERVICE)]
            assert [(await watch.read()).status for watch in watches] == [SERVING, SERVING]
            process.send_signal(number)
            assert [(await watch.read()).status for watch in watches] == [NOT_SERVING, NOT_SERVING]
            for watch in watches:
                watch.cancel()
        assert not health_file.exists()
        # The session goes on to its end.
        assert (await port.close([]))[0].slot == "dimm-00"
        code, errors = await exit_of(process)
        assert code == 0
        assert [json.loads(line)["message"] for line in errors] == ["ready", "stopped"]


async def test_a_process_whose_parent_died_ends() -> None:
    async with device_process("--lifeline") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert (await exit_of(process))[0] == 0


async def test_presence_while_it_lives_and_a_will_when_it_dies(broker: LocalBroker) -> None:
    async with MqttBus(broker.address) as watcher:
        messages = watcher.messages(device_topic("mine", "+"))
        arguments = ("--bus", broker.address, "--machine", "mine", "--devices", "2", "--slot", "dimm-08")
        for end, state in ((signal.SIGTERM, "offline"), (signal.SIGKILL, "offline")):
            async with device_process(*arguments) as (process, address):
                for expected in ("ready", state):
                    seen: dict[str, Presence] = {}
                    while len(seen) < 2:
                        topic, payload = await next_of(messages)
                        presence = Presence()
                        from_json(payload, presence)
                        if presence.state == expected:
                            seen[topic] = presence
                    assert sorted(seen) == ["l3/mine/devices/fake-0-0", "l3/mine/devices/fake-0-1"]
                    one = seen["l3/mine/devices/fake-0-1"]
                    assert one == Presence(
                        seq=1 if expected == "ready" else 2,
                        device_id="fake-0-1",
                        role="attention",
                        kind="fake",
                        address=address,
                        version="1",
                        protocol_version=PROTOCOL_VERSION,
                        state=expected,
                        capacity_bytes=2**31,
                        requested_slot="dimm-09",
                        level="fake",
                    )
                    if expected == "ready":
                        process.send_signal(end)


async def test_a_process_without_its_broker_serves_all_the_same() -> None:
    async with device_process("--bus", "127.0.0.1:1") as (process, address):
        assert process.stderr is not None
        # It serves before it has found that nobody listens there.
        async with asyncio.timeout(60):
            while "bus is away" not in (line := (await process.stderr.readline()).decode()):
                assert line, "it ended without a word of its broker"
        assert (await describe(address))[0].device_id == "fake-0"
        process.send_signal(signal.SIGTERM)
        assert (await exit_of(process))[0] == 0


async def test_overrides_reach_the_devices_they_name() -> None:
    overrides = ("--override", "slowness=3", "--override", "dimm-05.slowness=9")
    async with device_process("--devices", "3", "--slot", "dimm-04", *overrides) as (_, address):
        port = GrpcPort(address)
        ids = [device.device_id for device in await describe(address)]
        ready = await port.hello(small_hello(ids, ("dimm-04", "dimm-05", "dimm-06")))
        assert [device.config["slowness"] for device in ready] == [3, 9, 3]
        await port.abort()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--devices", "0"), "devices: must be 1 to 4096, got 0"),
        (("--devices", "many"), "argument --devices: invalid int value: 'many'; see --help"),
        (("--colour", "red"), "unrecognized arguments: --colour red; see --help"),
        (("--listen", "here"), "listen: must be HOST:PORT, got 'here'"),
        (("--bus", "1883"), "bus: must be HOST:PORT, got '1883'"),
        (("--machine", "a/b"), "machine: must be a plain name, without / + #, got 'a/b'"),
        (("--override", "slow"), "override: must be [SLOT.]KEY=VALUE, got 'slow'"),
    ],
)
async def test_what_cannot_be_started_says_why_in_one_line(arguments: tuple[str, ...], text: str) -> None:
    code, errors = await exit_of(await start(arguments))
    assert errors == [f"l3: error: {text}"]
    assert code == 2


async def test_a_taken_address_is_refused() -> None:
    async with DeviceServer(FakeDevice()) as server:
        code, errors = await exit_of(await start(["--listen", server.address]))
        assert errors[-1] == (
            f"l3: error: listen: cannot bind {server.address}; is it in use? port 0 takes any free one"
        )
        assert code == 2


async def health(channel: grpc.aio.Channel, service: str) -> Any:
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)).status


async def test_health_and_reflection() -> None:
    async with DeviceServer(FakeDevice()) as server, open_channel(server.address) as channel:
        assert await health(channel, "") == SERVING
        assert await health(channel, SERVICE) == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(channel, "l3sim.v1.NoService")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        stream = stub.ServerReflectionInfo(iter([request]))
        listed: Message = (await stream.read()).list_services_response
        assert sorted(service.name for service in listed.service) == [  # type: ignore[attr-defined]
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
            SERVICE,
        ]
        await stream.read()


class WatchedDevice(FakeDevice):
    """Remembers its sessions without keeping them alive."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: list[weakref.ref[DeviceSession]] = []

    def open(self, hello: Hello) -> DeviceSession:
        session = super().open(hello)
        self.sessions.append(weakref.ref(session))
        return session


async def test_a_stream_that_breaks_takes_its_session_with_it() -> None:
    device = WatchedDevice()
    async with DeviceServer(device) as server:
        for job in range(3):
            port = GrpcPort(server.address)
            await port.hello(small_hello(job_id=f"job-{job}"))
            assert device.sessions[job]() is not None
            await port.abort()
    gc.collect()
    assert [session() for session in device.sessions] == [None, None, None]


def test_a_device_process_loads_little() -> None:
    code = "import l3sim.transport.server, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"numba", "sklearn", "scipy", "typer", "rich", "ruamel", "ruamel.yaml", "amqtt", "hypothesis"}
    assert not heavy & set(loaded.split())

"""Good devices pass, over the network; broken ones fail the check that is meant for them, and it alone."""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc.aio
import pytest

from l3sim.conformance import CHECKS, Outcome, Verdict, report, run_suite
from l3sim.conformance.suite import Question
from l3sim.device import Identity
from l3sim.device.attention.levels import HeadModel
from l3sim.device.attention.modules import ModuleDevice
from l3sim.errors import InvalidInput, Unreachable
from l3sim.ports import Device
from l3sim.services.cpu_attention.device import CpuAttentionDevice
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.gpu.device import GpuDevice
from l3sim.services.hbm_pim.device import HbmPimDevice
from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.modules import ModuleConfig
from l3sim.transport import channels, lifetime
from l3sim.transport.server import SERVICE, DeviceServer, DeviceServicer
from l3sim.v1 import device_pb2_grpc
from l3sim.work import DeviceDescription, Hello
from tests.l3sim.conformance.broken import BROKEN, GoodDevice

MINI = load_machine("l3-mini")
#: It takes seconds, so only one test asks it.
UNASKED = {"pings": "not asked (--idle 0)"}
UNSTRIPED = {"stripes": "it lists no partition 'block'"}
NAMES = [check.name for check in CHECKS]


def question(address: str, **changes: Any) -> Question:
    return replace(Question(address, MINI, load_model("llama-2-7b"), None, {}, "", 30.0, 0.0), **changes)


async def asked(address: str, **changes: Any) -> tuple[DeviceDescription, list[Outcome]]:
    """Everything that the suite finds at an address."""
    found = [one async for one in run_suite(question(address, **changes))]
    return found[0][0], [outcome for _, outcome in found]


def told(outcomes: list[Outcome], verdict: Verdict) -> dict[str, str]:
    return {one.name: one.text for one in outcomes if one.verdict is verdict}


@asynccontextmanager
async def serving(device: Device, servicer: type[DeviceServicer]) -> AsyncIterator[str]:
    """As DeviceServer does, with a servicer of our own."""
    server = channels.new_server()
    device_pb2_grpc.add_DeviceServiceServicer_to_server(servicer(device), server)
    health = lifetime.Health(server, [SERVICE])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await health.serving()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.mark.parametrize(
    ("device", "settings"),
    [
        (GpuDevice([Identity("gpu-0")]), {"level": "roofline"}),
        (GpuDevice([Identity("gpu-0")]), {"level": "calibrated"}),
        (InterconnectDevice([Identity("link-0")]), {}),
        (InterconnectDevice([Identity("link-0")]), {"relayout": "cpu", "overlap": "off"}),
        (DimmPimDevice([Identity("pim-0"), Identity("pim-1")]), {"level": "fast"}),
        (DimmPimDevice([Identity("pim-0")]), {"level": "roofline"}),
    ],
    ids=["gpu roofline", "gpu calibrated", "link", "link of a CPU", "dimm-pim fast", "dimm-pim roofline"],
)
async def test_our_devices_conform(device: Device, settings: dict[str, Any]) -> None:
    async with DeviceServer(device) as server:
        description, outcomes = await asked(server.address, settings=settings)
    assert told(outcomes, Verdict.FAILED) == {}
    skipped = {} if description.role == "attention" else {"capacity": "it holds no KV"}
    assert told(outcomes, Verdict.SKIPPED) == {**skipped, **UNASKED}
    assert [one.name for one in outcomes] == NAMES


@pytest.mark.parametrize(
    ("device", "machine"),
    [
        (HbmPimDevice([Identity("hbm-0")]), "hbm-pim-dgx-a100"),
        (CpuAttentionDevice([Identity("cpu-0")]), "cpu-dgx-a100"),
        (GpuDevice([Identity("gpu-0")]), "gpu-only-dgx-a100"),
    ],
    ids=["hbm-pim", "cpu-attention", "gpu that attends"],
)
async def test_devices_of_other_machines_conform(device: Device, machine: str) -> None:
    async with DeviceServer(device) as server:
        description, outcomes = await asked(server.address, machine=load_machine(machine))
    assert told(outcomes, Verdict.FAILED) == {}
    skipped = UNSTRIPED
    if description.role == "gpu":
        skipped = {"capacity": "it holds no KV", "stripes": "the GPUs attend here, and have no ranks"}
    assert told(outcomes, Verdict.SKIPPED) == {**skipped, **UNASKED}


async def test_a_device_of_a_strange_kind_conforms() -> None:
    async with serving(GoodDevice(), DeviceServicer) as address:
        _, outcomes = await asked(address)
    assert told(outcomes, Verdict.FAILED) == {}
    assert told(outcomes, Verdict.SKIPPED) == {**UNASKED, **UNSTRIPED}


class OwnConfig(ModuleConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of a kind of one's own: what the machine reads, and a rate."""

    rate: float


class OwnDevice(ModuleDevice[OwnConfig]):
    """With the kit alone: its schema is {"$ref": ..., "$defs": ...}."""

    kind = "my-pim"
    struct = OwnConfig

    def level_model(self, config: OwnConfig, hello: Hello) -> HeadModel:
        return HeadModel(lambda tokens: tokens * hello.model.head_kv_bytes / config.rate, 1.0, hello.layout)


OWN = {"modules": 4, "module_capacity_bytes": 2**36, "rate": 1e10, "pass_overhead_ns": 1.0}
OWN |= {"module_idle_w": 0.0}


async def test_a_device_of_the_kit_with_a_kind_of_its_own_conforms() -> None:
    async with DeviceServer(OwnDevice([Identity("mine")])) as server:
        _, outcomes = await asked(server.address, config=OWN)
        assert told(outcomes, Verdict.FAILED) == {}
        assert told(outcomes, Verdict.SKIPPED) == {**UNASKED, **UNSTRIPED}
        with pytest.raises(InvalidInput, match=r"attention.modules: --config: missing"):
            await asked(server.address, config={"rate": 1e10})
        _, outcomes = await asked(server.address, config={**OWN, "colour": "blue"})
    (text,) = told(outcomes, Verdict.FAILED).values()
    assert "attention.colour: l3-mini: unknown key 'colour'" in text


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_device_fails_what_is_meant_for_it(fault: str) -> None:
    check, device, servicer = BROKEN[fault]
    # Of one head group a layer: of more than there are ranks, stripes would lie as evenly as none.
    async with serving(device(), servicer) as address:
        _, outcomes = await asked(address, model=load_model("llama-2-70b"))
    assert list(told(outcomes, Verdict.FAILED)) == [check], told(outcomes, Verdict.FAILED)


def test_every_check_is_failed_by_somebody() -> None:
    of_the_server = {"health", "reflection", "pings"}
    assert {check for check, _, _ in BROKEN.values()} | of_the_server == set(NAMES)


async def test_a_server_without_reflection_or_not_serving_fails_these() -> None:
    server = channels.new_server()
    device_pb2_grpc.add_DeviceServiceServicer_to_server(DeviceServicer(GoodDevice()), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _, outcomes = await asked(f"127.0.0.1:{port}")
    await server.stop(None)
    assert list(told(outcomes, Verdict.FAILED)) == ["health", "reflection"]
    assert "UNIMPLEMENTED" in told(outcomes, Verdict.FAILED)["health"]
    async with DeviceServer(GoodDevice()) as draining:
        await draining._health.not_serving()
        _, outcomes = await asked(draining.address)
    assert told(outcomes, Verdict.FAILED) == {
        "health": "health of the server is NOT_SERVING, must be SERVING"
    }


async def test_a_server_that_bears_no_pings_fails_that() -> None:
    server = grpc.aio.server()
    device_pb2_grpc.add_DeviceServiceServicer_to_server(DeviceServicer(GoodDevice()), server)
    health = lifetime.Health(server, [SERVICE])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await health.serving()
    async with DeviceServer(GoodDevice()) as good:
        (_, ours), (_, bare) = await asyncio.gather(
            asked(good.address, idle_s=9.0), asked(f"127.0.0.1:{port}", idle_s=9.0)
        )
    await server.stop(None)
    assert told(ours, Verdict.FAILED) == {}
    assert "Too many pings" in told(bare, Verdict.FAILED)["pings"]


async def test_what_hangs_on_a_failure_is_not_run() -> None:
    check, device, servicer = BROKEN["is short of bytes"]
    async with serving(device(), servicer) as address:
        _, outcomes = await asked(address)
    assert told(outcomes, Verdict.SKIPPED)["units"] == "needs shapes"
    assert "must be" in told(outcomes, Verdict.FAILED)[check]


class Silent(DeviceServicer):
    """Never answers in a session."""

    async def Session(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for _ in requests:
            pass
        return
        yield


async def test_a_silent_device_fails_within_its_time() -> None:
    async with serving(GoodDevice(), Silent) as address:
        _, outcomes = await asked(address, wait_s=0.2)
    assert told(outcomes, Verdict.FAILED) == {"hello": "no answer within 0.2 s"}


async def test_nobody_and_somebody_else_are_errors() -> None:
    with pytest.raises(Unreachable, match=r"no DeviceService answers at 127.0.0.1:1: "):
        await asked("127.0.0.1:1", wait_s=5.0)
    async with DeviceServer(GoodDevice()) as server:
        with pytest.raises(InvalidInput, match="unknown device 'dimm-99'"):
            await asked(server.address, device_id="dimm-99")


def test_the_result_as_plain_values_and_as_junit() -> None:
    device = GoodDevice().describe()[0]
    outcomes = [
        Outcome("hello", "answers", Verdict.PASSED, "", 0.25),
        Outcome("shapes", "is whole", Verdict.FAILED, 'wants <2> & "3"', 0.5),
        Outcome("units", "is sane", Verdict.SKIPPED, "needs shapes", 0.0),
    ]
    assert report.summary(outcomes) == "1 passed, 1 failed, 1 skipped"
    values = report.values("here:1", device, outcomes)
    assert (values["conforms"], values["kind"], values["device_id"]) == (False, "fake", "fake-0")
    assert [check["verdict"] for check in values["checks"]] == ["passed", "failed", "skipped"]
    suite = ET.fromstring(report.junit(device, outcomes))[0]
    counts = [suite.get(name) for name in ("tests", "failures", "skipped", "time")]
    assert counts == ["3", "1", "1", "0.750"]
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["skipped"]]
    assert suite[1][0].get("message") == 'wants <2> & "3"'

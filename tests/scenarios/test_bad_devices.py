"""One device of a machine answers nonsense, is silent or vanishes; the job fails by its name, the next runs.

run_job ══ gRPC ══ gpu, link, dimm-00, dimm-01, dimm-02, dimm-03      one of them through `Bad`
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from l3sim.errors import L3Error
from l3sim.launch.plan import plan_devices
from l3sim.orchestrator.job.resolve import resolve
from l3sim.orchestrator.run.job import JobResult, run_job
from l3sim.ports import DevicePort, DeviceSource
from l3sim.specs.catalog import load_machine
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec
from l3sim.transport import channels
from l3sim.transport.grpc_port import GrpcPort
from l3sim.transport.server import DeviceServicer
from l3sim.v1 import device_pb2 as pb
from l3sim.v1 import device_pb2_grpc
from l3sim.work import DeviceDescription
from tests.scenarios.test_fakes import Silent

MINI = load_machine("l3-mini")
#: Seconds that an answer may take here; a machine grants 120.
DEADLINE_S = 5.0

Misdeed = Callable[[pb.Costs], None]


class Bad(DeviceServicer):
    """Passes its first session's costs through a misdeed; good from then on."""

    def __init__(self, device: Any, misdeed: Misdeed) -> None:
        super().__init__(device)
        self.misdeed: Misdeed | None = misdeed

    async def Session(self, requests: Any, context: Any) -> AsyncIterator[pb.SessionResponse]:  # noqa: N802
        misdeed, self.misdeed = self.misdeed, None
        async for response in super().Session(requests, context):
            if misdeed is not None and response.HasField("costs"):
                try:
                    misdeed(response.costs)
                except Vanishes:
                    return
                except Sleeps:
                    await asyncio.Event().wait()
            yield response


class Vanishes(Exception):
    """Ends the stream instead of answering."""


class Sleeps(Exception):
    """Never answers."""


class Local(DeviceSource):
    """Devices served from this process."""

    transport = "grpc"

    def __init__(self) -> None:
        self.devices: list[tuple[str, DeviceDescription]] = []

    def present(self) -> Sequence[tuple[str, DeviceDescription]]:
        return self.devices

    def connect(self, address: str) -> DevicePort:
        return GrpcPort(address, DEADLINE_S)


@asynccontextmanager
async def machine(slot: str, misdeed: Misdeed) -> AsyncIterator[Local]:
    """l3-mini with one bad device."""
    source = Local()
    async with AsyncExitStack() as stack:
        for process in plan_devices(MINI):
            device = process.device()
            servicer = Bad(device, misdeed) if process.name == slot else DeviceServicer(device)
            server = channels.new_server()
            device_pb2_grpc.add_DeviceServiceServicer_to_server(servicer, server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, None)
            source.devices += [(f"127.0.0.1:{port}", one) for one in device.describe()]
        yield source


async def run(source: Local) -> JobResult:
    job = resolve(JobSpec(WorkloadSpec("fixed:16:8", count=3), policy="l3"), MINI)
    return await run_job(job, source, Silent(), asyncio.Event())


def durations(change: Callable[[Any], Any]) -> Misdeed:
    def misdeed(costs: pb.Costs) -> None:
        for cost in costs.costs:
            cost.duration_ps = change(np.frombuffer(cost.duration_ps, "<i8")).astype("<i8").tobytes()

    return misdeed


def each(change: Callable[[pb.OpCost], None]) -> Misdeed:
    def misdeed(costs: pb.Costs) -> None:
        for cost in costs.costs:
            change(cost)

    return misdeed


def raising(error: type[Exception]) -> Misdeed:
    def misdeed(_: pb.Costs) -> None:
        raise error

    return misdeed


def one_class_more(cost: pb.OpCost) -> None:
    cost.layer_classes += 5
    rows = cost.layer_classes * cost.rounds * 8
    cost.energy_nj, cost.duration_ps = bytes(rows), bytes(rows * len(cost.device))


MISDEEDS: dict[str, tuple[Misdeed, str]] = {
    "negative times": (durations(lambda ps: -ps), r"costs\.duration_ps: \w+: must be 0 to 10+, got -\d+"),
    "times that are NaN": (
        durations(lambda ps: np.full(ps.shape, np.nan).view(np.int64)),
        r"costs\.duration_ps: \w+: must be 0 to 10+, got 9221120237041090560",
    ),
    "a number too few": (durations(lambda ps: ps[1:]), r"costs\.duration_ps: \w+: must be \d+ bytes"),
    "classes that nobody agreed on": (each(one_class_more), r"malformed answer: \w+ of window \d+"),
    "an operation of its own": (
        each(lambda cost: setattr(cost, "op", "dream")),
        r"costs\.op: unknown operation 'dream'",
    ),
    "another window": (
        lambda costs: setattr(costs, "window_id", costs.window_id + 1),
        r"it answered window \d+ where \d+ was due",
    ),
    "no rounds": (
        lambda costs: setattr(costs, "valid_rounds", 0),
        r"it answered 0 rounds where \d+ were asked",
    ),
    "nothing, in time": (raising(Sleeps), f"no answer within {DEADLINE_S:g} s"),
    "nothing, by leaving": (raising(Vanishes), "it ended the session"),
}


@pytest.mark.parametrize(
    ("slot", "what"),
    [("dimm-02", what) for what in MISDEEDS]
    + [("link", "negative times"), ("gpu", "negative times"), ("link", "classes that nobody agreed on")],
)
async def test_the_job_fails_by_name_and_the_next_one_runs(slot: str, what: str) -> None:
    misdeed, text = MISDEEDS[what]
    async with machine(slot, misdeed) as source:
        with pytest.raises(L3Error) as caught:
            await run(source)
        assert caught.value.reason == "DEVICE_LOST"
        assert re.match(f"lost {slot}: .*{text}", str(caught.value)), str(caught.value)
        result = await run(source)
    assert (result.report.requests.completed, result.report.invariants) == (3, "ok")

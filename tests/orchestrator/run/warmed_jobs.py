"""Runs a small job of every kind after warming, and prints what was compiled, or loaded, in the meantime.

A program of its own (`python -m tests.orchestrator.run.warmed_jobs`): in the process of the tests others have
compiled before.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from l3sim import jit
from l3sim.launch.in_process import MAX_MODULES, source_of
from l3sim.launch.plan import plan_devices
from l3sim.orchestrator.engine.prediction.learning.learned import FIRST_ROUNDS
from l3sim.orchestrator.job.resolve import resolve
from l3sim.orchestrator.run.job import run_job
from l3sim.orchestrator.run.warmup import warm
from l3sim.ports import DevicePort, DeviceSource
from l3sim.services.dram.command import engine  # noqa: F401 (else a device would import it in the middle)
from l3sim.specs.catalog import load_machine
from l3sim.specs.job import JobSpec
from l3sim.specs.machine import Machine
from l3sim.transport.grpc_port import GrpcPort, describe
from l3sim.transport.server import DeviceServer
from l3sim.work import DeviceDescription
from tests.orchestrator.small_jobs import EVERY_POLICY, Watcher, listed

PROMPT, OUTPUT = [300, 40, 700, 90] * 3, [9, 30, 5, 12] * 3
SHORT = JobSpec(listed(PROMPT, OUTPUT), model="llama-2-7b", settings=(("attention.level", "roofline"),))
#: Long enough that predictors are trained.
LONG = replace(SHORT, workload=listed([50, 60], [FIRST_ROUNDS + 20, 20]))


class ServedSource(DeviceSource):
    """Devices behind gRPC, by address."""

    transport = "grpc"

    def __init__(self, devices: Mapping[str, Sequence[DeviceDescription]]) -> None:
        self._devices = devices

    def present(self) -> Sequence[tuple[str, DeviceDescription]]:
        return [(address, one) for address, devices in self._devices.items() for one in devices]

    def connect(self, address: str) -> DevicePort:
        return GrpcPort(address)


def jobs() -> Iterator[tuple[str, JobSpec]]:
    """(machine, job): every policy, predictor and placement, and whatever else takes a way of its own."""
    for policy in EVERY_POLICY:
        yield "l3-mini", replace(SHORT, policy=policy)
        if policy != "l3":
            yield "gpu-only-dgx-a100", replace(SHORT, policy=policy, settings=())
    for machine in ("hbm-pim-dgx-a100", "cpu-dgx-a100", "r-pim-dgx-a100"):
        settings = () if machine == "cpu-dgx-a100" else SHORT.settings
        yield machine, replace(SHORT, settings=settings)
    for predictor in ("learned", "tables", "oracle"):
        settings = (*SHORT.settings, ("scheduler.predictor", predictor))
        yield "l3-mini", replace(LONG, policy="l3", settings=settings, regret_plans=2)
    aligned = (*SHORT.settings, ("scheduler.admission", "aligned"), ("scheduler.prefix_sharing", "longest"))
    prefixes = [(1, 40), (0, 0), (1, 40), (0, 0)] * 3
    workload = listed(PROMPT, OUTPUT, None, prefixes)
    yield "l3-mini", replace(SHORT, policy="l3", workload=workload, settings=aligned)
    yield "l3-mini", replace(SHORT, spans_rounds=2, oracle_lengths=True, max_window=1)
    yield "l3-mini", replace(SHORT, settings=(("attention.level", "command"),))


def entries() -> dict[str, tuple[str, ...]]:
    """Signatures of all compiled functions that were declared so far."""
    return {kernel.name: tuple(map(str, one.signatures)) for one, kernel in jit.KERNELS.items()}


async def run(machine: Machine, spec: JobSpec, source: DeviceSource) -> None:
    await run_job(resolve(spec, machine), source, Watcher(), asyncio.Event())


async def run_served(machine: Machine, spec: JobSpec) -> None:
    """Run a job with all devices behind gRPC."""
    async with AsyncExitStack() as stack:
        devices = {}
        for process in plan_devices(machine, MAX_MODULES):
            server = await stack.enter_async_context(DeviceServer(process.device()))
            devices[server.address] = await describe(server.address)
        await run(machine, spec, ServedSource(devices))


def main() -> int:
    """Print each function that was compiled for a job, and the job; returns how many."""
    found = 0
    warm(trains=True)
    before = entries()

    def compare(what: str) -> None:
        nonlocal found, before
        after = entries()
        for name, signatures in after.items():
            if signatures != before.get(name):
                found += 1
                print(f"{name} {signatures} for {what}")
        before = after

    for name, spec in jobs():
        machine = load_machine(name)
        asyncio.run(run(machine, spec, source_of(plan_devices(machine, MAX_MODULES))))
        compare(f"{name} {spec.policy} {spec.settings}")
    machine = load_machine("l3-mini")
    asyncio.run(run_served(machine, SHORT))
    compare("gRPC")
    return found


if __name__ == "__main__":
    sys.exit(main())

"""Devices that cheat, and an engine that must notice: books, counts and costs are checked in every run."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from l3sim.errors import InvariantBroken, L3Error
from l3sim.launch.plan import plan_devices
from l3sim.orchestrator.engine.progress import Progress, Span
from l3sim.orchestrator.job.resolve import resolve
from l3sim.orchestrator.run.job import JobResult, run_job
from l3sim.ports import Device, DeviceSession
from l3sim.specs.catalog import load_machine
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec
from l3sim.transport.in_process import InProcessSource
from l3sim.work import Account, Commit, Costs, DeviceDescription, DeviceReady, Hello, Window
from tests.orchestrator.small_jobs import without_exchange


class Silent:
    """Watches nothing."""

    def progress(self, progress: Progress) -> None: ...

    def spans(self, slot: str, spans: Sequence[Span]) -> None: ...


class Wrapped(Device):
    """A device whose sessions' books and costs pass through our hands."""

    def __init__(self, inner: Device, cheat: "Cheat") -> None:
        self.inner, self.cheat = inner, cheat
        self.closed: list[Account] = []

    def describe(self) -> Sequence[DeviceDescription]:
        return self.inner.describe()

    def open(self, hello: Hello) -> DeviceSession:
        return WrappedSession(self, self.inner.open(hello))


class Cheat:
    """What is done to books and costs; nothing by default."""

    def __init__(
        self,
        account: Callable[[Account], Account] = lambda account: account,
        costs: Callable[[Costs], Costs] = lambda costs: costs,
    ) -> None:
        self.account, self.costs = account, costs


class WrappedSession(DeviceSession):
    def __init__(self, device: Wrapped, inner: DeviceSession) -> None:
        self.device, self.inner = device, inner

    def ready(self) -> Sequence[DeviceReady]:
        return self.inner.ready()

    def window(self, window: Window) -> Costs:
        return self.device.cheat.costs(self.inner.window(window))

    def estimate(self, windows: Sequence[Window]) -> Sequence[Costs]:
        return self.inner.estimate(windows)

    def audit(self) -> Sequence[Account]:
        return [self.device.cheat.account(account) for account in self.inner.audit()]

    def close(self, commits: Sequence[Commit]) -> Sequence[Account]:
        self.device.closed = [self.device.cheat.account(one) for one in self.inner.close(commits)]
        return self.device.closed


def run(role: str, cheat: Cheat, **spec: Any) -> tuple[JobResult, list[Wrapped]]:
    """A small job in which all devices of a role are wrapped, one process a device."""
    machine = load_machine(spec.pop("machine", "l3-mini"))
    devices: dict[str, Device] = {}
    wrapped = []
    for process in plan_devices(machine, 1, []):
        device = process.device()
        if device.describe()[0].role == role:
            device = Wrapped(device, cheat)
            wrapped.append(device)
        devices[process.name] = device
    workload = spec.pop("workload", WorkloadSpec("fixed:32:160", count=6))
    job = resolve(JobSpec(workload, **({"policy": "l3"} | spec)), machine)
    return asyncio.run(run_job(job, InProcessSource(devices), Silent(), asyncio.Event())), wrapped


@pytest.mark.parametrize("role", ["gpu", "attention", "link"])
def test_in_lockstep_every_device_counts_a_window_a_round(role: str) -> None:
    result, devices = run(role, Cheat(), max_window=1)
    rounds = result.report.iterations
    assert result.report.exchange.windows == rounds
    for device in devices:
        assert [(account.windows, account.rounds) for account in device.closed] == [(rounds, rounds)]


def test_with_two_replicas_a_module_counts_the_rounds_of_its_own() -> None:
    spec = {"machine": "l3-dgx-a100", "model": "llama-2-70b", "tp": 4, "max_window": 1}
    result, modules = run("attention", Cheat(), workload=WorkloadSpec("fixed:16:9", count=5), **spec)
    counted = [device.closed[0].rounds for device in modules]
    # 32 modules, 16 a replica: three requests on the first, two on the second.
    assert len(set(counted[:16])) == len(set(counted[16:])) == 1
    assert counted[0] + counted[16] == result.report.iterations


def test_a_module_that_books_a_byte_too_much_is_caught_while_the_job_runs() -> None:
    def one_more(account: Account) -> Account:
        return replace(account, held_bytes=(account.held_bytes[0] + 1, *account.held_bytes[1:]))

    with pytest.raises(InvariantBroken, match=r"dimm-0\d rank 0 holds \d+ bytes, the ledger says \d+"):
        run("attention", Cheat(account=one_more), max_window=1)


def test_a_module_that_tells_other_books_is_caught_at_that_window() -> None:
    def one_more(costs: Costs) -> Costs:
        wrong = costs.window_id == 7
        return replace(costs, held_bytes=tuple(held + wrong for held in costs.held_bytes))

    # In windows of one round no audit comes before the hundredth.
    with pytest.raises(InvariantBroken, match=r"dimm-00 rank 0 holds \d+ bytes, the ledger says \d+"):
        run("attention", Cheat(costs=one_more), max_window=1)


@pytest.mark.parametrize("role", ["gpu", "attention", "link"])
def test_a_device_that_miscounts_its_windows_breaks_an_invariant(role: str) -> None:
    cheat = Cheat(account=lambda account: replace(account, windows=account.windows - 1))
    result, _ = run(role, cheat)
    assert any("counted" in text for text in result.report.invariants)


@pytest.mark.parametrize(
    "change",
    [
        lambda costs: replace(costs, costs=costs.costs[1:]),
        lambda costs: replace(costs, window_id=costs.window_id + 1),
        lambda costs: replace(costs, valid_rounds=0),
        lambda costs: replace(costs, valid_rounds=costs.valid_rounds + 10**6),
    ],
    ids=["a cost is missing", "another window", "no rounds", "more rounds than asked"],
)
@pytest.mark.parametrize("role", ["gpu", "attention", "link"])
def test_costs_that_do_not_fit_the_window_end_the_job(role: str, change: Callable[[Costs], Costs]) -> None:
    with pytest.raises(L3Error):
        run(role, Cheat(costs=change))


def test_a_device_that_foresees_fewer_rounds_changes_no_result() -> None:
    # The same stranger's class in both: the job's digest covers whose code a device is.
    whole, _ = run("link", Cheat())
    short, _ = run("link", Cheat(costs=lambda costs: replace(costs, valid_rounds=min(costs.valid_rounds, 7))))
    assert short.report.exchange.windows > whole.report.exchange.windows
    assert without_exchange(short) == without_exchange(whole)
    assert short.artifacts == whole.artifacts

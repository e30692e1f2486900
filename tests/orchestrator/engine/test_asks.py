"""A replica and its devices without an event loop: every ask is answered by a plain call."""

from collections import Counter
from typing import Any

import pytest

from l3sim import PROTOCOL_VERSION
from l3sim.device import Identity
from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine import replica as engine
from l3sim.orchestrator.engine.asks import Ask, AuditAsk, GridAsk, StudyAsk, TrainingAsk, WindowAsk
from l3sim.orchestrator.engine.prediction.estimate_grid import Grid, GridAnswers, grid_of, tables_of
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.orchestrator.run.build import ReplicaDevices, build_replica
from l3sim.placement import kv_room_bytes, rank_assignments
from l3sim.ports import DeviceSession
from l3sim.rank_map import RankMap
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.gpu.device import GpuDevice
from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.specs.foreign import config_of
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from l3sim.work import Hello, RankAssignment, SlotAssignment
from tests.orchestrator.small_jobs import SmallJob, listed, numbers, small_machine


class Bench:
    """One replica of a job, its device sessions, and a loop that answers what it asks."""

    def __init__(self, job: SmallJob) -> None:
        resolved = job.resolved
        machine, layout = resolved.machine, resolved.layout
        names = [f"dimm-{number:02d}" for number in range(machine.attention.modules)]
        devices: dict[str, tuple[Any, list[str]]] = {
            "gpu": (GpuDevice([Identity("gpu")]), ["gpu"]),
            "attention": (DimmPimDevice([Identity(name) for name in names]), names),
            "link": (InterconnectDevice([Identity("link")]), ["link"]),
        }
        self.hellos, self.sessions = {}, dict[str, DeviceSession]()
        for role, (device, slots) in devices.items():
            schema = device.describe()[0].config_schema_json
            config = config_of(getattr(machine, role), schema)
            assigned = [
                SlotAssignment(
                    slot,
                    slot,
                    config,
                    tuple(RankAssignment(*one) for one in rank_assignments(machine.attention, layout, number))
                    if role == "attention"
                    else (),
                )
                for number, slot in enumerate(slots)
            ]
            self.hellos[role] = Hello(PROTOCOL_VERSION, "job", 0, resolved.model, layout, tuple(assigned))
            self.sessions[role] = device.open(self.hellos[role])
        rooms = numbers(
            [kv_room_bytes(machine.attention, layout, resolved.model)] * (layout.ranksets * layout.ranks)
        )
        tables = tables_of(layout, self.grid(grid_of(layout, 0)))
        self.table = RequestTable(resolved.table)
        told = ReplicaDevices(tuple(self.hellos.values()), rooms, 2**31, tables)
        self.replica = build_replica(resolved, 0, self.table, told)
        self.asked: Counter[type[Ask]] = Counter()

    def grid(self, grid: Grid) -> GridAnswers:
        found = {role: session.estimate(grid.of(role)) for role, session in self.sessions.items()}
        ranks = RankMap.of(self.hellos["attention"], 0)
        return GridAnswers(found["gpu"], [(ranks, found["attention"])], found["link"])

    def run(self) -> None:
        while (ask := self.replica.step()) is not None:
            self.asked[type(ask)] += 1
            self.answer(ask)

    def answer(self, ask: Ask) -> None:
        replica, sessions = self.replica, list(self.sessions.values())
        match ask:
            case TrainingAsk():
                ask.train()
                replica.answer(ask)
            case GridAsk(grid):
                replica.answer(ask, self.grid(grid))
            case StudyAsk(windows):
                answers = [session.estimate(windows) for session in sessions]
                replica.answer(ask, list(zip(*answers, strict=True)))
            case WindowAsk(window):
                replica.answer(ask, [session.window(window) for session in sessions])
            case AuditAsk():
                replica.answer(ask, self.sessions["attention"].audit())


def job_of(policy: str = "fill", **changes: Any) -> SmallJob:
    machine = small_machine(**changes)
    workload = listed([30, 200, 20, 40], [300, 20, 25, 14])
    return SmallJob(JobSpec(workload, model=small_model(kv_heads=4), policy=policy, max_window=7), machine)


def ended(bench: Bench) -> bool:
    return bool((bench.table.phase == Phase.DONE).all())


def test_an_engine_runs_without_an_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "AUDIT_WINDOWS", 5)
    bench = Bench(job_of())
    bench.run()
    assert ended(bench)
    windows = bench.replica.metrics.windows
    assert bench.asked == {WindowAsk: windows, AuditAsk: windows // 5}
    assert windows > 20
    accounts = bench.sessions["attention"].close(bench.replica.commits)
    assert bench.replica.books_differ(accounts, closing=True) == []


def test_a_predictor_that_learns_asks_for_trainings() -> None:
    bench = Bench(job_of("l3", scheduler__predictor="learned"))
    bench.run()
    trainer = bench.replica.planner.source.trainer
    assert ended(bench)
    assert trainer is not None
    assert trainer.trainings == bench.asked[TrainingAsk] > 0


def test_an_oracle_asks_for_grids() -> None:
    bench = Bench(job_of("l3", scheduler__predictor="oracle"))
    bench.run()
    assert ended(bench)
    assert bench.asked[GridAsk] > 0


def test_a_study_asks_for_estimates_before_the_window_of_its_plan() -> None:
    bench = Bench(job_of().but(regret_plans=3))
    first = bench.replica.step()
    assert isinstance(first, StudyAsk)
    bench.answer(first)
    assert isinstance(bench.replica.step(), WindowAsk)


def test_an_ask_is_answered_once_and_before_the_next() -> None:
    bench = Bench(job_of())
    ask = bench.replica.step()
    assert isinstance(ask, WindowAsk)
    with pytest.raises(InvariantBroken, match="replica 0: its WindowAsk has no answer yet"):
        bench.replica.step()
    with pytest.raises(InvariantBroken, match="replica 0 did not ask for this AuditAsk"):
        bench.replica.answer(AuditAsk(), [])
    bench.answer(ask)
    with pytest.raises(InvariantBroken, match="replica 0 did not ask for this WindowAsk"):
        bench.replica.answer(ask, [])

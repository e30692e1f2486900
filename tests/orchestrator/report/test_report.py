"""Every number of the report from numbers made by hand; whole runs are compared in test_replica.py."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from l3sim.orchestrator.engine.kv.occupancy import Occupancy
from l3sim.orchestrator.engine.kv.prefix import PrefixSharing
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.metrics import ReplicaMetrics
from l3sim.orchestrator.engine.planning.decisions import DecisionLog
from l3sim.orchestrator.engine.planning.planner import Given, Planner
from l3sim.orchestrator.engine.planning.regret import Study
from l3sim.orchestrator.engine.policies import POLICIES
from l3sim.orchestrator.engine.prediction.source import TableSource
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.orchestrator.engine.steady import History
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.report.report import build_report
from l3sim.reports.sections import Exchange, ExchangeParts
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_layout, small_model
from l3sim.work import DeviceDescription, DeviceReady
from tests.orchestrator.engine.policies.views import predictor_of
from tests.orchestrator.small_jobs import SmallJob, listed, numbers, small_machine

PS = 10**12


def job_of(count: int = 4, gpus: int = 1, **workload: Any) -> ResolvedJob:
    listing = replace(listed([10] * count, [5] * count), **workload)
    spec = JobSpec(listing, model=small_model(), policy="fill", tp=1, dp=gpus)
    return SmallJob(spec, small_machine(gpus=gpus, host__power_w=100.0)).resolved


def table_of(job: ResolvedJob, arrival: list[int], first_round: list[int], end: list[int]) -> RequestTable:
    """Everybody has ended; first tokens came at the first round."""
    table = RequestTable(job.table)
    table.phase[:] = Phase.DONE
    table.arrival_ps[:], table.first_round_ps[:] = arrival, first_round
    table.first_stamp_ps[:], table.last_stamp_ps[:] = first_round, end
    return table


def replica_of(ranks: int = 8, **changes: Any) -> Replica:
    metrics = ReplicaMetrics()
    metrics.rounds, metrics.last_event_ps = 10, 1000
    for name, value in changes.items():
        setattr(metrics, name, value)
    metrics.iterations.add(numbers([80]), numbers([10]))
    layout = small_layout(ranksets=4, ranks=ranks // 4)
    shape = KvShape.of(layout, small_model(), np.full(ranks, 7, dtype=np.int64))
    occupancy = Occupancy(1, ranks)
    occupancy.add(numbers([800]), ranks, numbers([1] * ranks))
    none = PrefixSharing(numbers([]), numbers([]), longest=False)
    kv = SimpleNamespace(shape=shape, peak_bytes=11, sharing=none)
    given = Given(small_machine().scheduler)
    planner = Planner(POLICIES.get("fill")(), given, TableSource(predictor_of()), DecisionLog(0), Study(0, 0))
    history = History()
    history.add(0, numbers([400, 600]), 2, 3, True)
    parts = {"metrics": metrics, "kv": kv, "occupancy": occupancy, "planner": planner, "history": history}
    return cast(Replica, SimpleNamespace(index=0, **parts))


def devices() -> list[tuple[str, DeviceDescription, DeviceReady]]:
    described = DeviceDescription("b", "gpu", "gpu", "1", (), (), (), 0, (), "{}", overrides_json='{"a":1}')
    ready = DeviceReady("gpu", "roofline", 0, (), (), {}, 2000)
    return [("gpu", described, ready), ("dimm-00", described, replace(ready, slot="dimm-00", idle_mw=500))]


EXCHANGE = Exchange(1.0, 3, 12, 10.0, "in-process", ExchangeParts(0.25, 0.25, 0.5))
#: Of the device in slot gpu; other devices' counters are no GPU time.
COUNTERS = {"gpu": {"weights_ps": 3 * PS, "overhead_ps": PS // 2, "kernels": 7}, "link": {"weights_ps": PS}}


def report_of(job: ResolvedJob, table: RequestTable, *replicas: Replica) -> dict[str, Any]:
    return build_report(job, table, replicas, devices(), COUNTERS, [], EXCHANGE).to_dict()


def plain() -> tuple[ResolvedJob, RequestTable]:
    job = job_of()
    return job, table_of(job, [0] * 4, [100] * 4, [500] * 4)


def test_utilization_is_over_the_makespan_and_bubbles_over_active_time() -> None:
    job = job_of(gpus=2)
    table = table_of(job, [0] * 4, [100] * 4, [500] * 4)
    busy = {"gpu": 300, "attention": 1600, "link_down": 100, "link_up": 50}
    one = replica_of(busy_ps=busy, active_ps=600, last_event_ps=2000)
    other = replica_of(busy_ps={name: 2 * value for name, value in busy.items()}, active_ps=900)
    report = report_of(job, table, one, other)
    # Two replicas of 4 ranksets x 1 channel; the later one ends at 2000.
    assert report["utilization"] == {
        "gpu": 900 / 4000,
        "attention": pytest.approx(4800 / (4 * 2 * 2000)),
        "link_down": 300 / 4000,
        "link_up": 150 / 4000,
    }
    assert report["bubbles"] == {
        "gpu": pytest.approx(1 - 900 / 1500),
        "attention": pytest.approx(1 - 4800 / (4 * 1500)),
    }
    assert report["makespan_s"] == 2000 / PS


def test_batch_is_weighted_by_time() -> None:
    job, table = plain()
    report = report_of(job, table, replica_of(batch_time=600, iteration_ps=400, active_ps=1, max_batch=3))
    assert report["batch"] == {"mean_requests": 1.5, "max_requests": 3}
    assert report["iterations"] == 10
    assert report["iteration_s"] == {"mean": 80 / PS, "p50": 80 / PS, "p99": 80 / PS}


def test_energy_rows_sum_to_the_total() -> None:
    job, table = plain()
    energy = {"gpu": 3 * 10**9, "attention": 5, "link": 7}
    report = report_of(job, table, replica_of(energy_nj=energy, active_ps=1, last_event_ps=2 * PS))
    # 100 W of host and 2.5 W idle over 2 s.
    rows = {"gpu": 3.0, "attention": 5e-9, "link": 7e-9, "host": 200.0, "idle": 5.0}
    assert report["energy_j"] == {"total": 208.000000012, **rows}


def test_throughput_counts_completed_requests_only() -> None:
    job, table = plain()
    table.phase[0] = Phase.DECODE
    report = report_of(job, table, replica_of(active_ps=1, last_event_ps=PS // 2))
    assert report["requests"] == {"submitted": 4, "completed": 3, "failed": 1, "preempted": 0}
    assert report["tokens"]["output"] == 15
    assert report["throughput_tokens_per_s"] == 30.0


def test_one_token_requests_have_no_tpot() -> None:
    job = job_of()
    job.table.output[:] = [1, 1, 1, 3]
    table = table_of(job, [0] * 4, [100] * 4, [100, 100, 100, 103])
    table.output[:] = [1, 1, 1, 3]
    report = report_of(job, table, replica_of(active_ps=1))
    # 1.5 ps, rounded half up.
    assert report["tpot_s"]["mean"] == report["tpot_s"]["max"] == 2 / PS
    table.output[3] = 1
    assert report_of(job, table, replica_of(active_ps=1))["tpot_s"]["mean"] is None


#: Ten arrivals a second apart; served one a second, the queue does not grow.
ARRIVALS = [second * PS for second in range(10)]


@pytest.mark.parametrize(
    ("name", "first_round", "end", "saturated"),
    [
        ("served at once", [a + 1 for a in ARRIVALS], [a + 9 for a in ARRIVALS], False),
        ("served at half the pace", [2 * a + 1 for a in ARRIVALS], [2 * a + 9 for a in ARRIVALS], True),
        # The queue grows, but 10 requests in 10.4 s are 0.96 of 9 in 9 s.
        ("a little late", [*ARRIVALS[:7], *[9 * PS + 1] * 3], [*ARRIVALS[:9], int(10.4 * PS)], False),
        ("a little later", [*ARRIVALS[:7], *[9 * PS + 1] * 3], [*ARRIVALS[:9], int(10.6 * PS)], True),
        # Slow, but none waits longer at the end than in the middle.
        ("long answers", [a + 1 for a in ARRIVALS], [a + 90 * PS for a in ARRIVALS], False),
    ],
)
def test_saturated(name: str, first_round: list[int], end: list[int], saturated: bool) -> None:
    job = job_of(10, rate=1.0)
    table = table_of(job, ARRIVALS, first_round, end)
    assert report_of(job, table, replica_of(active_ps=1))["saturated"] is saturated, name


def test_closed_loop_and_offline_are_never_saturated() -> None:
    late = [2 * a + 1 for a in ARRIVALS]
    closed = job_of(10, concurrency=1)
    table = table_of(closed, ARRIVALS, late, late)
    report = report_of(closed, table, replica_of(active_ps=1))
    assert (report["saturated"], report["workload"]["mode"]) == (False, "closed")
    offline = job_of(10)
    report = report_of(offline, table_of(offline, [0] * 10, late, late), replica_of(active_ps=1))
    assert (report["saturated"], report["workload"]["mode"]) == (False, "offline")


def test_gpu_time_is_what_gpus_counted() -> None:
    job, table = plain()
    report = report_of(job, table, replica_of(active_ps=1))
    # In one order, whatever that of the wire was.
    assert list(report["gpu_time_s"].items()) == [("overhead", 0.5), ("weights", 3.0)]


def test_provenance_names_devices_by_slot_and_nothing_of_this_computer() -> None:
    job, table = plain()
    provenance = report_of(job, table, replica_of(active_ps=1))["provenance"]
    same = {"role": "gpu", "kind": "gpu", "version": "1", "fidelity": "roofline", "overrides": '{"a":1}'}
    digests = [device.pop("digest") for device in provenance["devices"]]
    assert provenance["devices"] == [{"slot": slot, **same} for slot in ("dimm-00", "gpu")]
    # They differ in idle power alone.
    assert len(set(digests)) == 2
    assert provenance["machine_digest"] == job.machine.digest


def test_invariants_and_schema() -> None:
    job, table = plain()
    wrong = ["time ran backwards"]
    broken = build_report(job, table, [replica_of(active_ps=1)], devices(), {}, wrong, EXCHANGE)
    assert broken.invariants == broken.broken == wrong
    report = report_of(job, table, replica_of(active_ps=1))
    assert (report["schema"], report["invariants"]) == ("l3.report/1", "ok")
    assert (report["kv"]["capacity_bytes"], report["kv"]["peak_bytes"]) == (56, 11)

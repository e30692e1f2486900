"""A replica is built of what a job says and what its devices said."""

from dataclasses import replace
from typing import Any

import pytest

from l3sim.errors import OutOfRoom
from l3sim.orchestrator.engine.asks import WindowAsk
from l3sim.orchestrator.engine.prediction.source import LearnedSource, OracleSource, TableSource
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.run.build import ReplicaDevices, build_replica
from l3sim.placement import kv_room_bytes
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_hello, small_model
from tests.orchestrator.engine.policies.views import predictor_of
from tests.orchestrator.small_jobs import SmallJob, listed, numbers, small_machine

KINDS = {"tables": TableSource, "learned": LearnedSource, "oracle": OracleSource}


def job_of(policy: str = "serial", count: int = 5, gpus: int = 1, **changes: Any) -> SmallJob:
    spec = JobSpec(listed([10] * count, [9] * count), model=small_model(), policy=policy, tp=1, dp=gpus)
    return SmallJob(spec, small_machine(gpus=gpus, **changes))


def built(job: SmallJob, index: int = 0, room_bytes: int | None = None, lookahead: int = 2**31) -> Replica:
    resolved = job.resolved
    layout = resolved.layout
    room = (
        kv_room_bytes(resolved.machine.attention, layout, resolved.model)
        if room_bytes is None
        else room_bytes
    )
    hello = replace(small_hello(), model=resolved.model, layout=layout)
    rooms = numbers([room] * (layout.ranksets * layout.ranks))
    devices = ReplicaDevices((hello,), rooms, lookahead, predictor_of(layout=layout))
    return build_replica(resolved, index, RequestTable(resolved.table), devices)


def first_ask(replica: Replica) -> WindowAsk:
    ask = replica.step()
    assert isinstance(ask, WindowAsk)
    return ask


@pytest.mark.parametrize(("index", "requests"), [(0, [0, 2, 4]), (1, [1, 3])])
def test_request_i_belongs_to_replica_i_mod_dp(index: int, requests: list[int]) -> None:
    window = first_ask(built(job_of(gpus=2), index)).window
    assert window.replica == index
    assert [placed.request for placed in window.places] == requests


@pytest.mark.parametrize(("index", "clients"), [(0, 2), (1, 1)])
def test_the_first_replicas_have_one_client_more(index: int, clients: int) -> None:
    job = job_of(gpus=2)
    job = job.but(workload=replace(job.spec.workload, concurrency=3))
    assert len(first_ask(built(job, index)).window.places) == clients


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_policy_that_predicts_has_the_predictor_of_the_machine(kind: str) -> None:
    assert type(built(job_of("l3", scheduler__predictor=kind)).planner.source) is KINDS[kind]
    assert type(built(job_of("fill", scheduler__predictor=kind)).planner.source) is TableSource


def test_what_would_never_end_is_refused_by_its_line() -> None:
    layout, model = job_of().resolved.layout, small_model()
    room = 17 * int(layout.pieces(model.layers).max()) * layout.block_bytes(model)
    with pytest.raises(OutOfRoom, match=r"^line 1: needs 18 tokens of KV, the devices of replica 0 hold 17;"):
        built(job_of(), room_bytes=room)

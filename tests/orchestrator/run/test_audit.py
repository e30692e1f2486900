"""Each invariant notices what it is there for."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from l3sim.orchestrator.engine.metrics import ReplicaMetrics
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.orchestrator.run.audit import conservation, counts_differ
from l3sim.testing.builders import small_hello
from l3sim.work import Account
from tests.orchestrator.engine.kv.test_ledger import table_of
from tests.orchestrator.small_jobs import numbers


def ended(table: RequestTable) -> RequestTable:
    table.phase[:] = Phase.DONE
    table.emitted[:] = table.output
    table.first_round_ps[:], table.first_stamp_ps[:], table.last_stamp_ps[:] = 1, 2, 3
    return table


def replica_with(gaps: int, **changes: Any) -> Replica:
    metrics = ReplicaMetrics()
    metrics.gaps.add(numbers([5]), numbers([gaps]))
    metrics.active_ps = metrics.last_event_ps = 100
    for name, value in changes.items():
        metrics.busy_ps[name] = value
    kv = SimpleNamespace(shape=SimpleNamespace(rank_room_bytes=np.ones(4)), check_integrity=list)
    return cast(Replica, SimpleNamespace(index=2, metrics=metrics, kv=kv))


def test_a_good_end_breaks_nothing() -> None:
    table = ended(table_of([5, 5], [3, 1]))
    full = {"gpu": 100, "attention": 400, "link_down": 100, "link_up": 100}
    assert conservation(table, [replica_with(2, **full)]) == []


@pytest.mark.parametrize(
    ("breakage", "text"),
    [
        (lambda table: table.phase.__setitem__(0, Phase.DECODE), "1 requests did not end"),
        (lambda table: table.emitted.__setitem__(1, 2), "a request made another number of tokens"),
        (lambda table: table.arrival_ps.__setitem__(0, 2), "a request was served before it came"),
        (lambda table: table.last_stamp_ps.__setitem__(0, 1), "a request was served before it came"),
    ],
)
def test_requests_and_tokens_are_conserved(breakage: Callable[[RequestTable], None], text: str) -> None:
    table = ended(table_of([5, 5], [3, 1]))
    breakage(table)
    (wrong,) = conservation(table, [replica_with(2)])
    assert text in wrong


def test_gaps_are_conserved() -> None:
    table = ended(table_of([5, 5], [3, 1]))
    assert conservation(table, [replica_with(3)]) == ["3 gaps between tokens, 2 were due"]


@pytest.mark.parametrize("name", ["gpu", "attention", "link_down", "link_up"])
def test_nothing_is_busy_twice_at_once(name: str) -> None:
    most = 400 if name == "attention" else 100
    table = ended(table_of([5], [3]))
    wrong = conservation(table, [replica_with(2, **{name: most + 1})])
    assert wrong == [f"replica 2: {name} was busy for {most + 1} ps of {most}"]


def test_broken_books_are_named_with_their_replica() -> None:
    replica = replica_with(2)
    cast(Any, replica.kv).check_integrity = lambda: ["a rank holds more KV than it has room for"]
    wrong = conservation(ended(table_of([5], [3])), [replica])
    assert wrong == ["replica 2: a rank holds more KV than it has room for"]


def test_counts_that_differ_are_named() -> None:
    hello = small_hello(("a",), ("dimm-00",))
    metrics = [SimpleNamespace(windows=3, rounds=9), SimpleNamespace(windows=4, rounds=4)]
    replicas = [cast(Replica, SimpleNamespace(index=i, metrics=one)) for i, one in enumerate(metrics)]
    assert counts_differ(replicas, [hello], [Account("dimm-00", 3, 9)]) == []
    (wrong,) = counts_differ(replicas, [hello], [Account("dimm-00", 3, 8)])
    assert wrong == "dimm-00 counted 3 windows and 8 rounds, 3 and 9 were committed"
    gpu = small_hello((), ())
    gpu = type(gpu)(1, "job", 0, gpu.model, gpu.layout, (type(hello.slots[0])("g", "gpu", {}),))
    # Who sits on no rank serves all replicas.
    assert counts_differ(replicas, [gpu], [Account("gpu", 7, 13)]) == []

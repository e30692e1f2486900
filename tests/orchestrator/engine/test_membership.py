"""Requests come, enter, are preempted, end and leave; what devices have to hear is told once."""

import numpy as np

from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.orchestrator.engine.membership import Books, Membership, Pending
from l3sim.orchestrator.engine.queue import Arrivals
from l3sim.orchestrator.engine.requests import Phase
from l3sim.testing.builders import small_layout, small_model
from l3sim.work import Chunk, KvPlacement
from tests.orchestrator.engine.kv.test_ledger import table_of
from tests.orchestrator.small_jobs import numbers

HERE = (0, 0)


def members_of(tokens: int = 1000, clients: int | None = None) -> Membership:
    """Three requests of 10 and 5 tokens, at times 0, 5 and 9; a rank each of two ranksets."""
    layout, model = small_layout(ranks=1), small_model()
    table = table_of([10] * 3, [5] * 3)
    table.arrival_ps[:] = [0, 5, 9]
    block = int(layout.pieces(model.layers).max()) * layout.block_bytes(model)
    shape = KvShape.of(layout, model, np.full(2, tokens * block, dtype=np.int64))
    gpu = GpuMemory(1000, 10, 1)
    arrivals = Arrivals(table, [0, 1, 2], clients)
    return Membership(Books(table, arrivals, KvLedger(shape, table, 0.0), gpu), aging_ps=10**13)


def admit(members: Membership, *requests: int) -> None:
    members.admit(tuple(KvPlacement(request, *HERE) for request in requests))


def test_arrivals_join_the_queue_when_their_time_has_come() -> None:
    members = members_of()
    assert members.enqueue(5)
    assert not members.enqueue(8)
    assert list(members.queue) == [0, 1]
    assert members.books.table.phase.tolist() == [Phase.WAITING, Phase.WAITING, Phase.FUTURE]


def test_the_admitted_are_on_all_books_and_told_once() -> None:
    members = members_of()
    members.enqueue(9)
    admit(members, 0, 1)
    assert list(members.queue) == [2]
    assert members.books.kv.residents == [0, 1]
    assert members.books.gpu.free_bytes == 1000 - 2 * 10 * 10
    assert members.drain_pending() == Pending((KvPlacement(0, *HERE), KvPlacement(1, *HERE)))
    assert members.drain_pending() == Pending()


def test_a_preempted_request_is_first_in_the_queue_and_computes_its_tokens_again() -> None:
    members = members_of(tokens=14)
    table, kv = members.books.table, members.books.kv
    members.enqueue(9)
    admit(members, 0)
    kv.prefill(Chunk(0, 10, 0, last=True))
    table.emitted[0] = 1
    admit(members, 1)
    members.drain_pending()
    assert members.preempt() == [1]
    assert list(members.queue) == [1, 2]
    assert (table.preemptions[1], table.recomputed[1], table.target[1]) == (1, 0, 10)
    assert members.drain_pending() == Pending(releases=[(1, False)])
    # One that decoded has its output to prefill too, and its tokens count as computed again.
    kv.decode(numbers([0]), 4)
    table.emitted[0] += 4
    assert (members.preempt(), table.held[0]) == ([], 14)  # alone it never goes
    admit(members, 1)
    kv.prefill(Chunk(1, 10, 0, last=True))
    assert members.preempt() == [1]
    assert (table.preemptions[1], table.recomputed[1]) == (2, 10)
    assert (table.held[1], table.phase[1]) == (0, Phase.WAITING)


def test_the_finished_hold_their_kv_until_they_leave() -> None:
    members = members_of()
    kv = members.books.kv
    members.enqueue(9)
    admit(members, 0, 1)
    for request in (0, 1):
        kv.prefill(Chunk(request, 10, 0, last=True))
    members.drain_pending()
    both, one = kv.per_rank(numbers([0, 1]), numbers([10, 10])), kv.per_rank(numbers([1]), numbers([10]))
    kv.finish([0])
    members.end([0])
    assert members.held_bytes(closing=False).tolist() == both.tolist()
    members.leave()
    assert members.finished == []
    assert members.held_bytes(closing=False).tolist() == one.tolist()
    # Devices have not heard of the release: at the end of a job they still hold it.
    assert members.held_bytes(closing=True).tolist() == both.tolist()
    assert members.drain_pending() == Pending(releases=[(0, False)])
    assert members.held_bytes(closing=True).tolist() == one.tolist()


def test_clients_ask_again_in_the_order_of_their_ends() -> None:
    members = members_of(clients=2)
    table, arrivals = members.books.table, members.books.arrivals
    assert arrivals.until(5) == [0, 1]
    table.last_stamp_ps[:] = [70, 60, -1]
    members.end([0, 1])
    assert table.arrival_ps[2] == 60
    assert members.finished == [0, 1]

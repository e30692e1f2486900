"""Requests that have not arrived, and the order of those that wait."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.orchestrator.engine.queue import Arrivals, Queue
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.specs.requests import Requests
from tests.orchestrator.small_jobs import numbers


def table_at(*arrival_ps: int) -> RequestTable:
    count = len(arrival_ps)
    ones = numbers([1] * count)
    return RequestTable(Requests(ones, ones, numbers(arrival_ps), numbers(range(1, count + 1))))


def test_open_loop_comes_by_time_then_number() -> None:
    arrivals = Arrivals(table_at(0, 5, 5, 9), [0, 1, 2, 3])
    assert arrivals.next_ps == 0
    assert arrivals.until(4) == [0]
    assert arrivals.until(4) == []
    assert arrivals.next_ps == 5
    assert arrivals.until(9) == [1, 2, 3]
    assert arrivals.next_ps is None


def test_closed_loop_brings_the_next_at_a_finish() -> None:
    table = table_at(0, 0, 0, 0)
    arrivals = Arrivals(table, [0, 1, 2, 3], clients=2)
    assert arrivals.until(0) == [0, 1]
    assert arrivals.next_ps is None
    arrivals.finished(70)
    arrivals.finished(60)
    assert (table.arrival_ps[2], table.arrival_ps[3]) == (70, 60)
    assert arrivals.next_ps == 60
    assert arrivals.until(70) == [3, 2]
    arrivals.finished(99)
    assert arrivals.next_ps is None


def test_open_loop_ignores_finishes() -> None:
    arrivals = Arrivals(table_at(0, 5), [0, 1])
    arrivals.finished(3)
    assert arrivals.until(4) == [0]


def test_a_replica_has_its_own_requests_only() -> None:
    assert Arrivals(table_at(0, 1, 2, 3), [1, 3]).until(9) == [1, 3]


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.data())
def test_preempted_first_each_kind_by_arrival_and_number(arrival: list[int], data: st.DataObject) -> None:
    arrival.sort()
    table = table_at(*arrival)
    queue, out = Queue(table, 1), list(range(len(arrival)))
    preempted: list[int] = []
    new: list[int] = []
    for _ in range(20):
        if data.draw(st.booleans()) and new:
            head = queue.head
            queue.admitted(head)
            (preempted if preempted else new).remove(head)
        elif data.draw(st.booleans()) and out:
            request = out.pop(0)
            queue.arrive([request])
            new.append(request)
        gone = sorted(set(range(len(arrival))) - set(out) - set(new) - set(preempted))
        if data.draw(st.booleans()) and gone:
            back = data.draw(st.sampled_from(gone))
            queue.come_back(back)
            preempted.append(back)
        order = sorted(preempted, key=lambda one: (arrival[one], one)) + new
        assert list(queue) == order
        assert len(queue) == len(order)
        assert (table.phase[numbers(order)] == Phase.WAITING).all()


@settings(max_examples=60, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=10),
    st.sampled_from([1, 3, 100]),
    st.data(),
)
def test_the_urgent_rank_as_if_they_had_come_earlier(
    requests: list[tuple[int, int]], aging_ps: int, data: st.DataObject
) -> None:
    requests.sort(key=lambda one: one[0])
    arrival, priority = [one[0] for one in requests], [one[1] for one in requests]
    table = table_at(*arrival)
    table.priority = numbers(priority)
    queue = Queue(table, aging_ps)
    queue.arrive(list(range(len(requests))))
    split = data.draw(st.integers(0, len(requests)))
    ran = list(queue)[:split]
    for request in ran:
        queue.admitted(request)
    for request in data.draw(st.permutations(ran)):
        queue.come_back(request)
    found = list(queue)

    def rank(one: int) -> tuple[int, int]:
        return arrival[one] - aging_ps * priority[one], one

    assert found[:split] == sorted(found[:split], key=rank)
    assert found[split:] == sorted(found[split:], key=rank)
    for place, one in enumerate(found[split:]):
        later = found[split + place + 1 :]
        # None is passed by one that came more than nine steps of aging after it.
        assert all(arrival[one] <= arrival[other] + 9 * aging_ps for other in later)


def test_thinking_delays_the_next_request_of_a_client() -> None:
    table = table_at(0, 0)
    arrivals = Arrivals(table, [0, 1], clients=1, think_ps=30)
    assert arrivals.until(0) == [0]
    arrivals.finished(70)
    assert (arrivals.next_ps, table.arrival_ps[1]) == (100, 100)


def test_nobody_overtakes() -> None:
    queue = Queue(table_at(0, 0), 1)
    queue.arrive([0, 1])
    with pytest.raises(ValueError, match="request 1 overtakes 0"):
        queue.admitted(1)

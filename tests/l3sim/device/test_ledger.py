"""A device's own ledger: what it takes and what it refuses."""

import numpy as np
import pytest

from l3sim.device.ledger import MAX_REQUESTS, Ledger, members_of
from l3sim.errors import OutOfRoom, OutOfStep
from l3sim.work import Chunk, KvPlacement, SubBatch, Window


def batch(
    requests: list[int], context: list[int], chunks: tuple[Chunk, ...] = (), index: int = 0
) -> SubBatch:
    return SubBatch(index, np.array(requests, dtype=np.int64), np.array(context, dtype=np.int64), chunks)


def check(ledger: Ledger, *batches: SubBatch, replica: int = 0) -> None:
    window = Window(7, replica, 1, batches)
    ledger.check(window, members_of(window))


@pytest.fixture
def ledger() -> Ledger:
    """Requests 3 (10 tokens) and 200 (none) of replica 0, and 4 of replica 1."""
    made = Ledger()
    made.place(KvPlacement(3, 1, 2), 0)
    made.place(KvPlacement(200, 0, 0), 0)
    made.place(KvPlacement(4, 0, 0), 1)
    made.held[3] = 10
    return made


def test_members_stand_in_order() -> None:
    window = Window(1, 0, 1, (batch([3], [10], (Chunk(200, 64, 0, True),)), batch([5], [6], index=1)))
    members = members_of(window)
    assert members.requests.tolist() == [3, 200, 5]
    assert members.held.tolist() == [10, 0, 6]
    assert members.growth.tolist() == [1, 64, 1]
    assert members_of(Window(1, 0, 1, ())).requests.tolist() == []


def test_what_agrees_is_taken(ledger: Ledger) -> None:
    check(ledger, batch([3], [10], (Chunk(200, 64, 0, True),)))
    check(ledger)
    assert ledger.present.tolist() == [3, 4, 200]
    assert (ledger.offset[3], ledger.rank[3]) == (1, 2)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([batch([5], [0])], "request 5 has no KV here; place it first"),
        ([batch([10**9], [0])], "request 1000000000 has no KV here"),
        ([batch([-1], [0])], "request -1 has no KV here"),
        ([batch([3], [11])], "window 7: request 3 holds 10 tokens here, not 11"),
        ([batch([], [], (Chunk(200, 64, 32, False),))], "window 7: request 200 holds 0 tokens here, not 32"),
        ([batch([4], [0])], "request 4 belongs to replica 1, not to replica 0"),
        ([batch([3, 3], [10, 10])], "window 7: request 3 takes part twice"),
        ([batch([3], [10]), batch([3], [10], index=1)], "window 7: request 3 takes part twice"),
    ],
)
def test_what_contradicts_is_refused(ledger: Ledger, batches: list[SubBatch], message: str) -> None:
    with pytest.raises(OutOfStep) as caught:
        check(ledger, *batches)
    assert message in str(caught.value)


def test_place_and_release(ledger: Ledger) -> None:
    with pytest.raises(OutOfStep, match="request 3 is placed twice"):
        ledger.place(KvPlacement(3, 0, 0), 0)
    with pytest.raises(OutOfStep, match="belongs to replica 0"):
        ledger.release(3, 1)
    assert ledger.release(3, 0) == 10
    with pytest.raises(OutOfStep, match="request 3 has no KV here"):
        ledger.release(3, 0)
    ledger.place(KvPlacement(3, 0, 1), 1)
    assert (ledger.held[3], ledger.replica[3]) == (0, 1)


@pytest.mark.parametrize("request_number", [MAX_REQUESTS, 2**62, -1])
def test_absurd_request_numbers_take_no_memory(ledger: Ledger, request_number: int) -> None:
    with pytest.raises(OutOfRoom, match="must be at least 0 and below"):
        ledger.place(KvPlacement(request_number, 0, 0), 0)

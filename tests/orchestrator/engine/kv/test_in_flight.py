"""Which decoding requests wait for which prefill KV."""

from typing import cast

from l3sim.orchestrator.engine.kv.in_flight import KvInFlight
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.engine.timeline.base import Timeline, Waits
from l3sim.work import NO_REQUESTS, Chunk, SubBatch
from tests.orchestrator.engine.kv.test_ledger import table_of
from tests.orchestrator.small_jobs import numbers


class Ends:
    """A timeline that only knows when batches ended."""

    def __init__(self) -> None:
        self.at: dict[int, int] = {}

    def batch_end_ps(self, batch: int) -> int:
        return self.at.get(batch, -1)


def in_flight_of(table: RequestTable, ranksets: int, ends: Ends | None = None) -> KvInFlight:
    return KvInFlight(cast(Timeline, ends or Ends()), table, ranksets)


def decoding(index: int, *requests: int) -> SubBatch:
    return SubBatch(index, numbers(requests), numbers([5] * len(requests)))


def chunks(*requests: int) -> tuple[Chunk, ...]:
    return tuple(Chunk(request, 3, 0, last=True) for request in requests)


def shown(waits: list[Waits]) -> dict[int, list[list[bool]]]:
    return {one.batch: one.passes.tolist() for one in waits}


def test_a_pass_waits_at_the_offsets_of_its_own_requests() -> None:
    table = table_of([5] * 4, [5] * 4)
    table.offset[:] = [0, 1, 2, 1]
    table.admission[:] = range(4)
    in_flight = in_flight_of(table, 3)
    in_flight.add(8, chunks(0, 1))
    in_flight.add(9, chunks(2))
    assert shown(in_flight.waits((decoding(0, 0, 3), decoding(1, 1)))) == {
        8: [[True, False, False], [False, True, False]]
    }
    assert shown(in_flight.waits((decoding(1, 2, 1),))) == {
        8: [[False, False, False], [False, True, False]],
        9: [[False, False, False], [False, False, True]],
    }
    assert in_flight.waits((SubBatch(0, NO_REQUESTS, NO_REQUESTS, chunks(0)),)) == []


def test_nobody_waits_for_what_has_arrived() -> None:
    table = table_of([5], [5])
    ends = Ends()
    in_flight = in_flight_of(table, 1, ends)
    in_flight.add(0, chunks(0))
    assert shown(in_flight.waits((decoding(0, 0),))) == {0: [[True], [False]]}
    ends.at[0] = 77
    assert in_flight.waits((decoding(0, 0),)) == []


def test_kv_of_an_earlier_admission_holds_nobody_back() -> None:
    table = table_of([5, 5], [5, 5])
    table.admission[:] = [0, 1]
    in_flight = in_flight_of(table, 1)
    in_flight.add(0, chunks(0))
    table.admission[0] = 2
    assert in_flight.waits((decoding(0, 0),)) == []
    in_flight.add(1, chunks(0))
    assert shown(in_flight.waits((decoding(1, 0),))) == {1: [[False], [True]]}

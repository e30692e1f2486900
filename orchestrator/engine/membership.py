"""Requests in a replica and in its queue, and what its devices have still to hear.

    arrivals ── queue ── admit ── residents ── (finished) ── release
                  ^                   |
                  '----- preempt -----'

Placements and releases ride on the next window, whichever it is.
"""

from dataclasses import dataclass

from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.orchestrator.engine.queue import Arrivals, Queue
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.units import Int64s
from l3sim.work import KvPlacement


@dataclass(frozen=True, slots=True)
class Books:
    """What a replica keeps of its requests.

    Attributes:
        table: all requests of the job, of which some are this replica's.
        arrivals: those that have not arrived.
        kv: where KV lies.
        gpu: where KV of prefills waits.
    """

    table: RequestTable
    arrivals: Arrivals
    kv: KvLedger
    gpu: GpuMemory


class Membership:
    """Comings and goings of one replica's requests, on all of its books.

    Attributes:
        books: on which they are entered.
        queue: requests that wait.
        finished: requests that have ended since the last scheduling point.
    """

    def __init__(self, books: Books, aging_ps: int) -> None:
        self.books = books
        self._table, self._arrivals = books.table, books.arrivals
        self._kv, self._gpu = books.kv, books.gpu
        self.queue = Queue(books.table, aging_ps)
        self.finished: list[int] = []
        self._places: tuple[KvPlacement, ...] = ()
        self._releases: list[int] = []

    def enqueue(self, now_ps: int) -> bool:
        """Put requests that have arrived by now into the queue; whether there were any."""
        arrived = self._arrivals.until(now_ps)
        if arrived:
            self.queue.arrive(arrived)
        return bool(arrived)

    def leave(self) -> None:
        """Release the finished."""
        self._kv.release(self.finished)
        self._releases += self.finished
        self.finished = []

    def preempt(self) -> list[int]:
        """Send requests that lack room back to the queue: the KV goes, the tokens stay."""
        table, dropped = self._table, self._kv.preempt()
        for request in dropped:
            table.target[request] = table.prompt[request] + table.emitted[request]
            table.preemptions[request] += 1
            self._gpu.close(request)
            self.queue.come_back(request)
            self._releases.append(request)
        return dropped

    def admit(self, admitted: tuple[KvPlacement, ...]) -> None:
        """The heads of the queue enter, at placements that a plan gave."""
        for placed in admitted:
            self.queue.admitted(placed.request)
            self._places += (self._kv.admit(placed),)
            self._gpu.book(placed.request, int(self._table.target[placed.request]))

    def end(self, requests: list[int]) -> None:
        """Requests made their last token; in a closed loop their clients send the next, first end first."""
        self.finished += requests
        for stamp, _ in sorted((int(self._table.last_stamp_ps[one]), one) for one in requests):
            self._arrivals.finished(stamp)

    def drain_pending(self) -> tuple[tuple[KvPlacement, ...], tuple[int, ...]]:
        """Placements and releases for the next window, which tells the devices; they are pending no more."""
        pending = self._places, tuple(self._releases)
        self._places, self._releases = (), []
        return pending

    def held_bytes(self, closing: bool) -> Int64s:
        """KV bytes that each rank's device must hold by its own books: shape (ranks,).

        Args:
            closing: also what has ended without a window that told of it, for there is no next window.
        """
        kv, gone = self._kv, [*self.finished, *self._releases]
        requests = self._table.rows(sorted({*kv.residents, *gone} if closing else kv.residents))
        return kv.per_rank(requests, self._table.held[requests])

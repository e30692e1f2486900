"""Requests in a replica and in its queue, and what its devices have still to hear.

    arrivals ── queue ── admit ── residents ── (finished) ── release
                  ^                   |
                  '----- preempt -----'

Placements and releases ride on the next window, whichever it is.
"""

from dataclasses import dataclass, field

from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.orchestrator.engine.lengths import OutputLengths
from l3sim.orchestrator.engine.queue import Arrivals, Queue
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.units import Int64s
from l3sim.work import Chunk, KvPlacement


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


@dataclass(slots=True)
class Pending:
    """What the devices have still to hear.

    Attributes:
        places: requests that enter, or move with their KV.
        releases: requests whose KV went, and whether it was in GPU memory.
    """

    places: tuple[KvPlacement, ...] = ()
    releases: list[tuple[int, bool]] = field(default_factory=list)

    @property
    def moves(self) -> tuple[Chunk, ...]:
        """KV that moves, as modules and the link hear of it."""
        return tuple(Chunk(one.request, one.held, 0, last=True) for one in self.places if one.held)


class Membership:
    """Comings and goings of one replica's requests, on all of its books.

    Attributes:
        books: on which they are entered.
        queue: requests that wait.
        finished: requests that have ended since the last scheduling point.
        lengths: of all answers that have ended.
    """

    def __init__(self, books: Books, aging_ps: int) -> None:
        self.books = books
        self._table, self._arrivals = books.table, books.arrivals
        self._kv, self._gpu = books.kv, books.gpu
        self.queue = Queue(books.table, aging_ps)
        self.finished: list[int] = []
        self.lengths = OutputLengths()
        self._pending = Pending()

    def enqueue(self, now_ps: int) -> bool:
        """Put requests that have arrived by now into the queue; whether there were any."""
        arrived = self._arrivals.until(now_ps)
        if arrived:
            self.queue.arrive(arrived)
        return bool(arrived)

    def leave(self) -> None:
        """Release the finished."""
        self._kv.release(self.finished)
        self._go(self.finished)
        self.finished = []

    def preempt(self) -> list[int]:
        """Send requests that lack room back to the queue: the KV goes, the tokens stay."""
        table, dropped = self._table, self._kv.preempt()
        for request in dropped:
            table.target[request] = table.prompt[request] + table.emitted[request]
            table.preemptions[request] += 1
            self._gpu.close(request)
            self.queue.come_back(request)
        self._go(dropped)
        return dropped

    def move_out(self) -> None:
        """Take requests for which GPU memory lacks room to ranks, with their KV, as far as there is room.

        It goes down the link in the next round, in which they do not decode; so somebody else must. Until it
        is down it keeps its room, and what the others grow by meanwhile is taken of that for prefills.
        """
        kv, gpu, table = self._kv, self._gpu, self._table
        kv.leaving_bytes = gpu.moving_bytes
        for request in kv.lacks_on_gpus():
            held = int(table.held[request])
            decoding = int((table.phase[kv.rows] == Phase.DECODE).sum())
            if kv.over_on_gpus > gpu.free_bytes or decoding < len(kv.arriving) + 2:
                return
            place = kv.view().fits(held + 1, request)
            if place is None:
                return
            self._go([request])
            gpu.move(request, held)
            kv.leaving_bytes = gpu.moving_bytes
            self._pending.places += (kv.move(KvPlacement(request, *place)),)

    def _go(self, requests: list[int]) -> None:
        """Requests whose KV goes, with the placements that they still have in the table."""
        on_gpus = self._kv.on_gpus(self._table.rows(requests)).tolist()
        self._pending.releases += zip(requests, on_gpus, strict=True)

    def admit(self, admitted: tuple[KvPlacement, ...]) -> None:
        """The heads of the queue enter, at placements that a plan gave."""
        ranksets = self._kv.shape.layout.ranksets
        for placed in admitted:
            self.queue.admitted(placed.request)
            self._pending.places += (self._kv.admit(placed),)
            if placed.offset < ranksets:  # else it stays where prefill makes it
                self._gpu.book(placed.request, int(self._table.target[placed.request]))

    def end(self, requests: list[int]) -> None:
        """Requests made their last token; in a closed loop their clients send the next, first end first."""
        self.finished += requests
        for request in requests:
            self.lengths.add(int(self._table.emitted[request]))
        for stamp, _ in sorted((int(self._table.last_stamp_ps[one]), one) for one in requests):
            self._arrivals.finished(stamp)

    def drain_pending(self) -> "Pending":
        """Placements and releases for the next window, which tells the devices; they are pending no more."""
        pending, self._pending = self._pending, Pending()
        return pending

    def held_bytes(self, closing: bool) -> Int64s:
        """KV bytes that each rank's device must hold by its own books: shape (ranks,).

        Args:
            closing: also what has ended without a window that told of it, for there is no next window.
        """
        kv, gone = self._kv, [*self.finished, *(request for request, _ in self._pending.releases)]
        requests = self._table.rows(sorted({*kv.residents, *gone} if closing else kv.residents))
        return kv.per_rank(requests, kv.held_tokens(requests))

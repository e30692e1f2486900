"""Requests that have not arrived, and requests that wait."""

from bisect import insort
from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush, merge
from itertools import chain

from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.specs.requests import MAX_PRIORITY


class Arrivals:
    """Requests of one replica that have not arrived, by (time, number).

    Args:
        requests: of this replica, in order of arrival.
        clients: closed loop: this many requests are there at time 0, and each finish brings the next; None:
            every request comes at its own time.
        think_ps: time that a client of a closed loop waits between a finish and its next request.
    """

    def __init__(
        self, table: RequestTable, requests: list[int], clients: int | None = None, think_ps: int = 0
    ) -> None:
        self._table, self._think_ps = table, think_ps
        first = requests if clients is None else requests[:clients]
        self._heap = [(int(table.arrival_ps[request]), request) for request in first]
        self._later = deque(requests[len(first) :])
        heapify(self._heap)

    @property
    def next_ps(self) -> int | None:
        """When the next one comes."""
        return self._heap[0][0] if self._heap else None

    @property
    def left(self) -> int:
        """How many are still to come."""
        return len(self._heap) + len(self._later)

    def until(self, now_ps: int) -> list[int]:
        """Take out the requests that have arrived, in order."""
        come = []
        while self._heap and self._heap[0][0] <= now_ps:
            come.append(heappop(self._heap)[1])
        return come

    def finished(self, stamp_ps: int) -> None:
        """A request ended at `stamp_ps`: in a closed loop its client sends the next."""
        if self._later:
            request = self._later.popleft()
            self._table.arrival_ps[request] = stamp_ps + self._think_ps
            heappush(self._heap, (stamp_ps + self._think_ps, request))


class Queue:
    """The requests that wait, iterated in the order of admission: the preempted first, then new ones.

    Each kind goes by rank: a request of priority p ranks as if it had arrived p x `aging_ps` earlier
    (ties: lower number first). So the urgent overtake, but none can be overtaken by one that arrives more
    than 9 x `aging_ps` later, and none starves.
    """

    def __init__(self, table: RequestTable, aging_ps: int) -> None:
        self._table, self._aging_ps = table, aging_ps
        self._preempted: list[int] = []
        # By priority; within one, the order of arrival is that of rank.
        self._new: list[deque[int]] = [deque() for _ in range(MAX_PRIORITY + 1)]
        self._waiting = 0

    def __iter__(self) -> Iterator[int]:
        return chain(self._preempted, self._newcomers())

    def __len__(self) -> int:
        return self._waiting

    @property
    def head(self) -> int:
        """The request that must be admitted next."""
        return next(iter(self))

    def arrive(self, requests: list[int]) -> None:
        """Enter requests that have arrived, in order."""
        for request in requests:
            self._table.phase[request] = Phase.WAITING
            self._new[self._table.priority[request]].append(request)
        self._waiting += len(requests)

    def come_back(self, request: int) -> None:
        """Enter a preempted request."""
        self._table.phase[request] = Phase.WAITING
        insort(self._preempted, request, key=self._rank)
        self._waiting += 1

    def admitted(self, request: int) -> None:
        """Take the head out."""
        if self.head != request:
            raise ValueError(f"request {request} overtakes {self.head}")
        if self._preempted:
            self._preempted.pop(0)
        else:
            self._new[self._table.priority[request]].popleft()
        self._waiting -= 1

    def _rank(self, request: int) -> tuple[int, int]:
        table = self._table
        return int(table.arrival_ps[request]) - int(table.priority[request]) * self._aging_ps, request

    def _newcomers(self) -> Iterator[int]:
        levels = [level for level in self._new if level]
        return iter(levels[0]) if len(levels) == 1 else merge(*levels, key=self._rank)

"""Who has not come yet, and who waits."""

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import chain

from orchestrator.state import Phase, RequestTable


class Arrivals:
    """Requests of one replica that have not arrived, by (time, number).

    Args:
        requests: of this replica, in order of arrival.
        clients: closed loop: so many are there at time 0, and each finish brings the next; None: every
            request comes at its own time.
    """

    def __init__(self, table: RequestTable, requests: list[int], clients: int | None = None) -> None:
        self._table = table
        first = requests if clients is None else requests[:clients]
        self._heap = [(int(table.arrival_ps[request]), request) for request in first]
        self._later = deque(requests[len(first) :])
        heapify(self._heap)

    @property
    def next_ps(self) -> int | None:
        """When the next one comes."""
        return self._heap[0][0] if self._heap else None

    def until(self, now_ps: int) -> list[int]:
        """Take out who has arrived, in order."""
        come = []
        while self._heap and self._heap[0][0] <= now_ps:
            come.append(heappop(self._heap)[1])
        return come

    def finished(self, stamp_ps: int) -> None:
        """A request ended at `stamp_ps`: in a closed loop its client sends the next."""
        if self._later:
            request = self._later.popleft()
            self._table.arrival_ps[request] = stamp_ps
            heappush(self._heap, (stamp_ps, request))


class Queue:
    """Who waits: the preempted first, each kind by (arrival, number). Iterates in that order."""

    def __init__(self, table: RequestTable) -> None:
        self._table = table
        self._preempted: list[int] = []
        self._new: deque[int] = deque()

    def __iter__(self) -> Iterator[int]:
        return chain(self._preempted, self._new)

    def __len__(self) -> int:
        return len(self._preempted) + len(self._new)

    @property
    def head(self) -> int:
        """Who must be admitted next."""
        return self._preempted[0] if self._preempted else self._new[0]

    def arrive(self, requests: list[int]) -> None:
        """Enter requests that have arrived, in order."""
        for request in requests:
            self._table.phase[request] = Phase.WAITING
            self._new.append(request)

    def come_back(self, request: int) -> None:
        """Enter a preempted request."""
        table = self._table
        table.phase[request] = Phase.WAITING
        self._preempted.append(request)
        self._preempted.sort(key=lambda one: (int(table.arrival_ps[one]), one))

    def admitted(self, request: int) -> None:
        """Take the head out."""
        if self.head != request:
            raise ValueError(f"request {request} overtakes {self.head}")
        if self._preempted:
            self._preempted.pop(0)
        else:
            self._new.popleft()

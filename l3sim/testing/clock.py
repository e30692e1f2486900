"""A clock that stands still until a test moves it."""

import asyncio
import heapq
from itertools import count

from l3sim.ports import Clock


class ManualClock(Clock):
    """Wall time by hand: `sleep` returns once `advance` has moved past its end."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._serial = count()

    def monotonic_s(self) -> float:
        """See Clock.monotonic_s."""
        return self._now_s

    async def sleep(self, duration_s: float) -> None:
        """See Clock.sleep."""
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_s + duration_s, next(self._serial), end))
        await end

    def advance(self, duration_s: float) -> None:
        """Move time on and wake who is due, in the order of their ends."""
        self._now_s += duration_s
        while self._sleepers and self._sleepers[0][0] <= self._now_s:
            end = heapq.heappop(self._sleepers)[2]
            if not end.done():
                end.set_result(None)

    @property
    def sleepers(self) -> int:
        """How many wait."""
        return sum(not end.done() for _, _, end in self._sleepers)

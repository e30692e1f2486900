"""Wall time."""

import asyncio
import time

from l3sim.ports import Clock


class WallClock(Clock):
    """The computer's own."""

    def monotonic_s(self) -> float:
        """See Clock.monotonic_s."""
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """See Clock.sleep."""
        await asyncio.sleep(duration_s)

"""A bus without a broker: what is published is at its readers at once."""

import asyncio
from collections.abc import AsyncIterator

from l3sim.ports import BusPort


class MemoryBus(BusPort):
    """Retains, filters and delivers as a broker does, within one event loop.

    Attributes:
        published: (topic, payload, retain) of every message, in order.
        retained: payload by topic.
    """

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, bool]] = []
        self.retained: dict[str, bytes] = {}
        self._readers: list[tuple[str, asyncio.Queue[tuple[str, bytes]]]] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """See BusPort.publish."""
        self.published.append((topic, payload, retain))
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)
        for topic_filter, queue in self._readers:
            if matches(topic, topic_filter):
                queue.put_nowait((topic, payload))

    async def messages(self, topic_filter: str) -> AsyncIterator[tuple[str, bytes]]:
        """See BusPort.messages."""
        queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        for topic, payload in self.retained.items():
            if matches(topic, topic_filter):
                queue.put_nowait((topic, payload))
        reader = (topic_filter, queue)
        self._readers.append(reader)
        try:
            while True:
                yield await queue.get()
        finally:
            self._readers.remove(reader)


def matches(topic: str, topic_filter: str) -> bool:
    """Whether an MQTT filter takes a topic: "+" is one level, a last "#" all the rest."""
    levels, wanted = topic.split("/"), topic_filter.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        if len(levels) < len(wanted):
            return False
        levels = levels[: len(wanted)]
    return len(levels) == len(wanted) and all(
        w in ("+", level) for w, level in zip(wanted, levels, strict=True)
    )

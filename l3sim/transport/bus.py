"""The observation plane over MQTT (aiomqtt). A broker that is away, slow or dead disturbs nothing."""

import asyncio
import contextlib
import logging
import socket
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiomqtt

from l3sim.ports import BusPort
from l3sim.transport.lifetime import host_and_port

#: Messages that wait for the broker, the oldest given up first; the same for each reader.
QUEUE_MESSAGES = 10_000
#: Retained topics that are said again after a reconnect, because a broker may come back empty.
RETAINED_TOPICS = 4096
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 2.0
#: A broker hears of us at least so often; it gives the last will of a frozen client after 1.5 times that.
KEEPALIVE_S = 10
#: How long a closing bus tries to say what it still has.
FAREWELL_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """A retained message that stands while we are connected, and what stands after us.

    Attributes:
        online, offline: payload by sequence number.
    """

    topic: str
    online: Callable[[int], bytes]
    offline: Callable[[int], bytes]


@dataclass(eq=False)
class _Reader:
    """A reader that iterates over messages."""

    topic_filter: str
    queue: deque[tuple[str, bytes]]
    arrived: asyncio.Event
    subscribed: bool = False


class MqttBus(BusPort):
    """A client of the broker, for as long as the context lasts. Use it from one event loop only.

    Args:
        address: HOST:PORT of the broker.
        standing: our presence; the broker is given its `offline` as the last will.
    """

    def __init__(self, address: str, standing: Standing | None = None) -> None:
        self._host, self._port = host_and_port(address, "bus")
        self._standing = standing
        self._seq = 0
        self._queue: deque[tuple[str, bytes]] = deque(maxlen=QUEUE_MESSAGES)
        self._unsaid: OrderedDict[str, bytes] = OrderedDict()  # retained, the newest of each topic
        self._retained: OrderedDict[str, bytes] = OrderedDict()
        self._readers: list[_Reader] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        #: Set while the broker listens to us.
        self.connected = asyncio.Event()

    async def __aenter__(self) -> "MqttBus":
        self._task = asyncio.create_task(self._run(), name="bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._standing is not None:
            # The last will is for clients that die; this one says goodbye.
            self.publish(self._standing.topic, self._standing.offline(self._seq), retain=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S if self.connected.is_set() else 0):
                await self._idle.wait()
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """See BusPort.publish.

        Raises:
            ValueError: the topic holds a wildcard, which the client library would refuse later and for ever.
        """
        if "+" in topic or "#" in topic:
            raise ValueError(f"cannot publish to {topic!r}: it is a filter, not a topic")
        if retain:
            _remember(self._unsaid, topic, payload)
            _remember(self._retained, topic, payload)
        else:
            self._queue.append((topic, payload))
        self._idle.clear()
        self._wake.set()

    async def messages(self, topic_filter: str) -> AsyncIterator[tuple[str, bytes]]:
        """See BusPort.messages."""
        reader = _Reader(topic_filter, deque(maxlen=QUEUE_MESSAGES), asyncio.Event())
        self._readers.append(reader)
        self._wake.set()
        try:
            while True:
                await reader.arrived.wait()
                reader.arrived.clear()
                while reader.queue:
                    yield reader.queue.popleft()
        finally:
            self._readers.remove(reader)

    async def _run(self) -> None:
        """Connect, again and again until we close."""
        wait_s = RETRY_FIRST_S
        # Not `while True`: a task group whose task fails in the same moment swallows our cancellation.
        while not self._closing:
            try:
                async with self._client() as client:
                    wait_s = RETRY_FIRST_S
                    self._begin()
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._receive(client))
                        tasks.create_task(self._send(client))
            except* (aiomqtt.MqttError, OSError) as failures:
                if wait_s == RETRY_FIRST_S:
                    text = " ".join(str(failures.exceptions[0]).split())
                    log.warning("bus is away: %s", text, extra={"bus": f"{self._host}:{self._port}"})
            self.connected.clear()
            if not self._closing:
                await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_MOST_S)

    def _client(self) -> aiomqtt.Client:
        will = None
        if self._standing is not None:
            # online(n) is said on connecting; what follows it, by us or by the broker, is n + 1.
            will = aiomqtt.Will(
                self._standing.topic, self._standing.offline(self._seq + 2), qos=1, retain=True
            )
        return aiomqtt.Client(
            self._host,
            self._port,
            will=will,
            keepalive=KEEPALIVE_S,
            timeout=KEEPALIVE_S,
            # QoS 1 waits for answers; with Nagle's algorithm each would take 40 ms.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    def _begin(self) -> None:
        """After each connect: everything that the broker may have forgotten."""
        for reader in self._readers:
            reader.subscribed = False
        self._unsaid = self._retained.copy()
        if self._standing is not None:
            self._seq += 2
            self._unsaid[self._standing.topic] = self._standing.online(self._seq - 1)
        self.connected.set()
        self._wake.set()

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            self._wake.clear()
            for reader in list(self._readers):
                if not reader.subscribed:
                    reader.subscribed = True
                    await client.subscribe(reader.topic_filter, qos=1)
            while self._unsaid:
                topic, payload = next(iter(self._unsaid.items()))
                await client.publish(topic, payload, qos=1, retain=True)
                # Unless a newer one came in the meantime.
                if self._unsaid.get(topic) is payload:
                    del self._unsaid[topic]
            while self._queue:
                await client.publish(*self._queue.popleft())
            if not self._wake.is_set():
                self._idle.set()
            await self._wake.wait()

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload
            if not isinstance(payload, bytes):
                continue
            for reader in self._readers:
                if message.topic.matches(reader.topic_filter):
                    reader.queue.append((str(message.topic), payload))
                    reader.arrived.set()


def _remember(table: OrderedDict[str, bytes], topic: str, payload: bytes) -> None:
    table[topic] = payload
    table.move_to_end(topic)
    if len(table) > RETAINED_TOPICS:
        table.popitem(last=False)

"""A broker in the test's own loop."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker

CONFIG = {
    "listeners": {"default": {"type": "external"}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}


class LocalBroker:
    """An amqtt broker that can go away and come back, empty, at the same port."""

    def __init__(self) -> None:
        self._broker: Broker | None = None
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        broker = self._broker = Broker(CONFIG)

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            await broker.external_connected(
                StreamReaderAdapter(reader), StreamWriterAdapter(writer), "default"
            )

        await broker.start()
        self._server = await asyncio.start_server(accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._broker is None or self._server is None:
            return
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await self._broker.shutdown()
        self._broker = None


@pytest.fixture
async def broker() -> AsyncIterator[LocalBroker]:
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    broker = LocalBroker()
    await broker.start()
    yield broker
    await broker.stop()

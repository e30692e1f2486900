"""The bus against a real broker, which goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from l3sim.transport import bus as bus_module
from l3sim.transport.bus import MqttBus, Standing
from tests.l3sim.transport.conftest import LocalBroker


async def next_of(messages: AsyncIterator[tuple[str, bytes]]) -> tuple[str, bytes]:
    async with asyncio.timeout(60):
        return await anext(messages)


async def test_messages_arrive_in_order_and_filtered(broker: LocalBroker) -> None:
    async with MqttBus(broker.address) as sender, MqttBus(broker.address) as receiver:
        messages = receiver.messages("l3/m/+/a")
        first = asyncio.create_task(next_of(messages))
        await receiver.connected.wait()
        # Retained, so that it is there whenever the subscription is.
        sender.publish("l3/m/x/a", b"first", retain=True)
        assert await first == ("l3/m/x/a", b"first")
        for i in range(100):
            sender.publish("l3/m/x/b", b"not asked for")
            sender.publish("l3/m/x/a", b"%d" % i)
        assert [(await next_of(messages))[1] for _ in range(100)] == [b"%d" % i for i in range(100)]


async def test_a_late_reader_gets_what_is_retained(broker: LocalBroker) -> None:
    async with MqttBus(broker.address) as bus:
        early = bus.messages("kept/#")
        bus.publish("kept/1", b"old", retain=True)
        bus.publish("kept/1", b"new", retain=True)
        while await next_of(early) != ("kept/1", b"new"):
            pass
        assert await next_of(bus.messages("kept/1")) == ("kept/1", b"new")


async def test_everything_goes_on_after_a_broker_came_back_empty(broker: LocalBroker) -> None:
    async with MqttBus(broker.address) as sender, MqttBus(broker.address) as receiver:
        messages = receiver.messages("t/#")
        sender.publish("t/kept", b"1", retain=True)
        assert await next_of(messages) == ("t/kept", b"1")
        # Until the broker has acknowledged it, it would be said again in any case.
        await sender._idle.wait()
        await broker.stop()
        await broker.start()
        # The sender says again what the broker has forgotten, the receiver asks again for what it wants.
        async with MqttBus(broker.address) as late:
            assert await next_of(late.messages("t/kept")) == ("t/kept", b"1")
        sender.publish("t/kept", b"2", retain=True)
        while await next_of(messages) != ("t/kept", b"2"):
            pass


async def test_what_was_retained_without_a_broker_is_said_when_it_is_there(broker: LocalBroker) -> None:
    await broker.stop()
    async with MqttBus(broker.address) as sender, MqttBus(broker.address) as receiver:
        sender.publish("t/kept", b"1", retain=True)
        messages = receiver.messages("t/#")
        await broker.start()
        assert await next_of(messages) == ("t/kept", b"1")


async def test_publishing_without_a_broker_neither_waits_nor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "QUEUE_MESSAGES", 3)
    async with MqttBus("127.0.0.1:1") as bus:
        for i in range(10):
            bus.publish("t", b"%d" % i)
        assert [payload for _, payload in bus._queue] == [b"7", b"8", b"9"]
        bus.publish("kept", b"1", retain=True)
        bus.publish("kept", b"2", retain=True)
        assert dict(bus._unsaid) == {"kept": b"2"}
        assert not bus.connected.is_set()


async def test_retained_topics_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "RETAINED_TOPICS", 2)
    async with MqttBus("127.0.0.1:1") as bus:
        for topic in ("a", "b", "a", "c"):
            bus.publish(topic, b"x", retain=True)
        assert list(bus._retained) == ["a", "c"]


async def test_a_filter_is_no_topic() -> None:
    async with MqttBus("127.0.0.1:1") as bus:
        with pytest.raises(ValueError, match=r"cannot publish to 'a/\+'"):
            bus.publish("a/+", b"")


def standing() -> Standing:
    return Standing("here/1", lambda seq: b"online %d" % seq, lambda seq: b"offline %d" % seq)


async def next_change(messages: AsyncIterator[tuple[str, bytes]], last: bytes) -> bytes:
    """The next state that is not the last: one that is retained may come twice, kept and live."""
    while (state := (await next_of(messages))[1]) == last:
        pass
    return state


async def test_who_leaves_says_so_and_who_dies_has_left_a_will(broker: LocalBroker) -> None:
    async with MqttBus(broker.address) as watcher:
        messages = watcher.messages("here/#")
        async with MqttBus(broker.address, standing()):
            assert await next_change(messages, b"") == b"online 1"
        assert await next_change(messages, b"online 1") == b"offline 2"
        dying = MqttBus(broker.address, standing())
        await dying.__aenter__()
        assert await next_change(messages, b"offline 2") == b"online 1"
        broker._writers[-1].transport.abort()
        assert await next_change(messages, b"online 1") == b"offline 2"
        # The client is alive after all, and says so, with the next numbers.
        assert await next_change(messages, b"offline 2") == b"online 3"
        await dying.__aexit__()
        assert await next_change(messages, b"online 3") == b"offline 4"

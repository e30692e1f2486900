"""The doubles do what the real ones do."""

import asyncio

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.testing import ManualClock, MemoryBus
from l3sim.testing.bus import matches

LEVELS = st.lists(st.sampled_from(["", "a", "b"]), min_size=1, max_size=3)
FILTERS = st.lists(st.sampled_from(["", "a", "b", "+"]), min_size=1, max_size=3)


@given(LEVELS, FILTERS, st.booleans())
def test_filters_match_as_those_of_mqtt(levels: list[str], wanted: list[str], rest: bool) -> None:
    topic, topic_filter = "/".join(levels), "/".join([*wanted, "#"] if rest else wanted)
    if not topic or not topic_filter:
        return
    assert matches(topic, topic_filter) == aiomqtt.Topic(topic).matches(topic_filter)


async def test_a_memory_bus_retains_and_clears() -> None:
    bus = MemoryBus()
    bus.publish("a/1", b"old", retain=True)
    bus.publish("a/1", b"new", retain=True)
    bus.publish("a/2", b"passing")
    messages = bus.messages("a/+")
    assert await anext(messages) == ("a/1", b"new")
    bus.publish("b/1", b"of no interest")
    bus.publish("a/2", b"seen")
    assert await anext(messages) == ("a/2", b"seen")
    bus.publish("a/1", b"", retain=True)
    assert await anext(messages) == ("a/1", b"")
    assert bus.retained == {}


async def test_a_manual_clock_wakes_who_is_due_in_order() -> None:
    clock = ManualClock()
    woken = []

    async def sleeper(name: str, duration_s: float) -> None:
        await clock.sleep(duration_s)
        woken.append(name)

    tasks = [asyncio.create_task(sleeper(name, s)) for name, s in (("late", 5), ("soon", 1), ("mid", 2))]
    await asyncio.sleep(0)
    assert clock.sleepers == 3
    clock.advance(0.5)
    await asyncio.sleep(0)
    assert woken == []
    clock.advance(1.5)
    await asyncio.gather(*tasks[1:])
    assert woken == ["soon", "mid"]
    assert clock.monotonic_s() == pytest.approx(2.0)
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    assert clock.sleepers == 0

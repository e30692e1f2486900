"""Names, numbers and JSON of the observation plane."""

import json

import pytest

from l3sim.errors import InvalidInput
from l3sim.testing import MemoryBus
from l3sim.transport import topics
from l3sim.v1.bus_pb2 import ClockNotice, Presence, Span, SpanBatch


def test_topics_are_those_that_users_know() -> None:
    assert topics.device_topic("m", "d") == "l3/m/devices/d"
    assert topics.job_topic("m", "job-000001") == "l3/m/jobs/job-000001"
    assert topics.clock_topic("m") == "l3/m/clock"
    assert topics.metrics_topic("m") == "l3/m/metrics"
    assert topics.spans_topic("m", "dimm-07") == "l3/m/spans/dimm-07"


def test_messages_of_each_topic_are_numbered() -> None:
    bus = MemoryBus()
    publisher = topics.Publisher(bus)
    for topic in ("a", "a", "b", "a"):
        publisher.publish(topic, ClockNotice(job_id="j", virtual_time_ps=7))
    seen = [(topic, json.loads(payload)["seq"]) for topic, payload, _ in bus.published]
    assert seen == [("a", "1"), ("a", "2"), ("b", "1"), ("a", "3")]
    publisher.publish("c", SpanBatch(spans=[Span(layer=3)]), binary=True)
    assert SpanBatch.FromString(bus.published[-1][1]) == SpanBatch(seq=1, spans=[Span(layer=3)])


def test_json_has_the_names_of_the_file_and_its_zeros() -> None:
    payload = topics.to_json(ClockNotice(seq=1))
    assert json.loads(payload) == {"seq": "1", "job_id": "", "virtual_time_ps": "0"}
    assert b"\n" not in payload
    back = ClockNotice()
    topics.from_json(payload, back)
    assert back == ClockNotice(seq=1)
    presence = Presence()
    topics.from_json(b'{"device_id": "d", "of_a_newer_version": 3}', presence)
    assert presence.device_id == "d"


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff\xfe", b'{"seq": "x"}'])
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^payload: "):
        topics.from_json(payload, ClockNotice())

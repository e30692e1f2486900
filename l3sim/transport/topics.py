"""Names and payloads of the observation plane (`bus.proto`): topics, numbering, JSON."""

import json
from collections import defaultdict
from typing import Any

from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import Message

from l3sim.errors import InvalidInput
from l3sim.ports import BusPort


def device_topic(machine: str, device_id: str) -> str:
    """Retained presence of a device; device id "+" makes it the filter of all."""
    return f"l3/{machine}/devices/{device_id}"


def job_topic(machine: str, job_id: str) -> str:
    """Retained state and progress of a job."""
    return f"l3/{machine}/jobs/{job_id}"


def clock_topic(machine: str) -> str:
    """Virtual time of the running job."""
    return f"l3/{machine}/clock"


def metrics_topic(machine: str) -> str:
    """Counters of the running job."""
    return f"l3/{machine}/metrics"


def spans_topic(machine: str, slot: str) -> str:
    """Tasks of the timeline, binary."""
    return f"l3/{machine}/spans/{slot}"


def to_json(message: Message) -> bytes:
    """A message in the proto3 JSON mapping, names as in the file, zeros included; one line."""
    text = MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
    )
    return text.encode()


def from_json(payload: bytes, message: Message) -> None:
    """Fill `message` from what `to_json` made; fields of newer publishers are passed over.

    Raises:
        InvalidInput: the payload is something else.
    """
    try:
        value = json.loads(payload)
        if not isinstance(value, dict):
            raise InvalidInput(("payload", "must be a JSON object"))
        ParseDict(value, message, ignore_unknown_fields=True)
    except (ParseError, ValueError) as error:
        raise InvalidInput(("payload", " ".join(str(error).split()))) from None


class Publisher:
    """Publishes messages of `bus.proto` and numbers those of each topic from 1, so that a loss shows."""

    def __init__(self, bus: BusPort) -> None:
        self._bus = bus
        self._seq: defaultdict[str, int] = defaultdict(int)

    def publish(self, topic: str, message: Any, *, retain: bool = False, binary: bool = False) -> None:
        """Set `message.seq` and publish it, as JSON unless `binary`."""
        self._seq[topic] += 1
        message.seq = self._seq[topic]
        payload = message.SerializeToString() if binary else to_json(message)
        self._bus.publish(topic, payload, retain=retain)

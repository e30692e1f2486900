"""Print what a machine says on the bus until a job ends, with paho and the generated messages alone.

python docs/examples/listen.py HOST:PORT MACHINE
"""

import json
import sys
from collections import defaultdict
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from l3sim.v1 import bus_pb2

ENDED = ("succeeded", "failed", "cancelled")


class Listener:
    """Prints each message, and how many of a topic were missed: `seq` counts up by one."""

    def __init__(self) -> None:
        self.last: defaultdict[str, int] = defaultdict(int)

    def __call__(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        """Take one message, as paho hands it over."""
        plane = message.topic.split("/")[2]
        if plane == "spans":
            spans = bus_pb2.SpanBatch.FromString(bytes(message.payload))
            seq, text = spans.seq, f"{len(spans.spans)} spans"
        else:
            said = json.loads(message.payload)
            # 64-bit numbers are strings, as JSON's own lose digits.
            seq, text = int(said["seq"]), said.get("state", "")
        last = self.last[message.topic]
        self.last[message.topic] = seq
        missed = seq - last - 1 if last else 0
        print(message.topic, seq, text, *([f"({missed} missed)"] if missed > 0 else []), flush=True)
        if plane == "jobs" and text in ENDED and not message.retain:
            client.disconnect()


def main(broker: str, machine: str) -> None:
    """Listen to all topics of one machine."""
    host, port = broker.rsplit(":", 1)
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = Listener()
    client.connect(host, int(port))
    client.subscribe(f"l3/{machine}/#", qos=1)
    client.loop_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A host link written with the generated stubs alone: no device kit, only what `device.proto` promises.

    python docs/examples/flat_link.py HOST:PORT_OF_THE_BROKER MACHINE [KIND]     (no broker: "")

Every transfer takes a set-up time and its bytes over one rate. It stands in for kind `interconnect`, so it
takes that kind's configuration, of which it reads USED and passes over PASSED; or goes by a KIND of its own.
Of ours it imports `l3sim.v1` only; gRPC, MQTT (paho) and the standard services are libraries that any
language has.
"""

import json
import signal
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from flat_books import Books, Refusal, contradiction
from google.protobuf.json_format import MessageToJson
from google.rpc import code_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from l3sim.v1 import bus_pb2
from l3sim.v1 import device_pb2 as pb
from l3sim.v1 import device_pb2_grpc as pb_grpc

PROTOCOL_VERSION = 4
SERVICE = pb.DESCRIPTOR.services_by_name["DeviceService"].full_name
DEVICE_ID, ROLE = "flat-link", "link"
OPERATIONS = ("transfer_down", "transfer_up", "transfer_kv")
USED = ("pcie_bytes_per_s", "setup_us", "active_w", "idle_w")
PASSED = (
    *("kind", "level", "pcie_generation", "pcie_lanes", "pcie_efficiency", "gpus_per_uplink"),
    *(
        "uplink_bytes_per_s",
        "channel_bytes_per_s",
        "channel_efficiency",
        "overlap",
        "channel_bus",
        "relayout",
    ),
)
#: device.proto: pings come every two seconds while a session waits, and messages may have 64 MiB.
OPTIONS = (
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.max_receive_message_length", 2**26),
    ("grpc.max_send_message_length", 2**26),
)
PS_PER_US, PS_PER_S, ELEMENT_BYTES = 10**6, 10**12, 2


class Session:
    """One job."""

    def __init__(self, hello: pb.Hello) -> None:
        if hello.protocol_version != PROTOCOL_VERSION:
            contradiction(f"this link speaks version {PROTOCOL_VERSION}, not {hello.protocol_version}")
        if [slot.device_id for slot in hello.slots] != [DEVICE_ID]:
            raise Refusal(code_pb2.INVALID_ARGUMENT, f"only {DEVICE_ID} lives here", "slots")
        self.slot, self.layout = hello.slots[0].slot, hello.layout
        self.config = json.loads(hello.slots[0].config_json)
        for key in self.config:
            if key not in USED and key not in PASSED:
                raise Refusal(code_pb2.INVALID_ARGUMENT, f"unknown key {key!r}", f"{self.slot}.{key}")
        for key in USED:
            if not isinstance(self.config.get(key), int | float):
                raise Refusal(code_pb2.INVALID_ARGUMENT, "must be a number", f"{self.slot}.{key}")
        model = hello.model
        query, key_value = (
            heads * model.head_size * ELEMENT_BYTES for heads in (model.heads, model.kv_heads)
        )
        self.token_bytes = dict(zip(OPERATIONS, (query + 2 * key_value, query, 2 * key_value), strict=True))
        self.books = Books()

    def ready(self) -> pb.Ready:
        """Domain d is a direction of rankset d mod ranksets: down first, then up, replica by replica."""
        ready = pb.DeviceReady(slot=self.slot, level="flat", idle_mw=round(self.config["idle_w"] * 1000))
        ready.config_json = json.dumps({key: self.config[key] for key in USED})
        for replica in range(self.layout.dp):
            for way in ("down", "up"):
                names = (f"replica-{replica}/{way}/{rankset}" for rankset in range(self.layout.ranksets))
                ready.domains.extend(names)
        return pb.Ready(devices=[ready])

    def window(self, window: pb.Window) -> pb.Costs:
        """Commits, releases, places, then the rounds."""
        self.books.commit(window.commits)
        self.books.release(window.releases)
        self.books.place(window.places)
        self.books.ask(window)
        return self.costs(window, self.books)

    def estimate(self, windows: Iterable[pb.Window]) -> pb.Estimates:
        """Each window stands alone and leaves no trace."""
        answers = []
        for window in windows:
            alone = Books()
            alone.place(window.places)
            answers.append(self.costs(window, alone))
        return pb.Estimates(costs=answers)

    def costs(self, window: pb.Window, books: Books) -> pb.Costs:
        """Every round of a window moves the same, so one is enough for all."""
        costs = pb.Costs(window_id=window.window_id, valid_rounds=window.rounds)
        for batch in window.sub_batches:
            decode = [(books.offset[request], 1) for request in batch.decode_request]
            chunks = [(books.offset[chunk.request], chunk.tokens) for chunk in batch.chunks]
            for op in OPERATIONS:
                moved = chunks if op == "transfer_kv" else decode
                if moved:
                    costs.costs.append(self.cost(op, batch.index, window.replica, moved))
        return costs

    def cost(self, op: str, index: int, replica: int, moved: list[tuple[int, int]]) -> pb.OpCost:
        """One operation, from (offset, tokens) of its requests: a lane a rankset, a class a layer of them."""
        ranksets = self.layout.ranksets
        of_offset = [
            self.time_ps(op, sum(tokens for at, tokens in moved if at == o)) for o in range(ranksets)
        ]
        # In layer class c, rankset j carries the requests whose KV begins at offset (j - c) mod ranksets.
        lanes = [of_offset[(j - c) % ranksets] for j in range(ranksets) for c in range(ranksets)]
        # mW * ps = 1e-6 nJ.
        energy_nj = sum(of_offset) * round(self.config["active_w"] * 1000) // 10**6
        first = (replica * 2 + (op == "transfer_up")) * ranksets
        return pb.OpCost(
            op=op,
            sub_batch=index,
            device=[0] * ranksets,
            domain=range(first, first + ranksets),
            layer_classes=ranksets,
            rounds=1,
            duration_ps=struct.pack(f"<{len(lanes)}q", *lanes),
            energy_nj=struct.pack(f"<{ranksets}q", *[energy_nj] * ranksets),
        )

    def time_ps(self, op: str, tokens: int) -> int:
        """Set-up, and bytes over the rate; nothing for nothing."""
        if not tokens:
            return 0
        moving_s = tokens * self.token_bytes[op] / float(self.config["pcie_bytes_per_s"])
        return max(1, round(float(self.config["setup_us"]) * PS_PER_US + moving_s * PS_PER_S))

    def accounts(self) -> list[pb.Account]:
        """Our own books."""
        books = self.books
        return [
            pb.Account(slot=self.slot, windows=books.windows, rounds=books.rounds, requests=len(books.held))
        ]


class Servicer(pb_grpc.DeviceServiceServicer):  # type: ignore[misc]
    """DeviceService."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def Describe(self, _request: pb.DescribeRequest, _context: Any) -> pb.DescribeResponse:  # noqa: N802
        """See device.proto."""
        keys: dict[str, Any] = {key: {"type": "number"} for key in USED} | {key: {} for key in PASSED}
        schema = {"type": "object", "properties": keys, "required": USED, "additionalProperties": False}
        device = pb.DeviceDescription(
            device_id=DEVICE_ID,
            role=ROLE,
            kind=self.kind,
            version="flat 1",
            operations=OPERATIONS,
            domains=("down", "up"),
            levels=("flat",),
            config_schema_json=json.dumps(schema),
            requested_slot="link",
            overrides_json="{}",
        )
        return pb.DescribeResponse(protocol_version=PROTOCOL_VERSION, devices=[device])

    def Session(  # noqa: N802
        self, requests: Iterator[pb.SessionRequest], context: Any
    ) -> Iterator[pb.SessionResponse]:
        """See device.proto."""
        session: Session | None = None
        for request in requests:
            what = request.WhichOneof("message")
            try:
                if what == "hello":
                    if session is not None:
                        contradiction("a second Hello")
                    session = Session(request.hello)
                    response = pb.SessionResponse(ready=session.ready())
                else:
                    if session is None:
                        contradiction(f"{what} before Hello")
                    response = answer(session, request)
            except Refusal as refusal:
                context.abort_with_status(rpc_status.to_status(refusal.status()))
            yield response
            if what == "close":
                return


def answer(session: Session, request: pb.SessionRequest) -> pb.SessionResponse:
    """Answer what comes after Hello."""
    if request.HasField("window"):
        return pb.SessionResponse(costs=session.window(request.window))
    if request.HasField("estimate"):
        return pb.SessionResponse(estimates=session.estimate(request.estimate.windows))
    if request.HasField("audit"):
        return pb.SessionResponse(accounts=pb.Accounts(accounts=session.accounts()))
    if request.HasField("close"):
        session.books.commit(request.close.commits)
        return pb.SessionResponse(closed=pb.Closed(accounts=session.accounts()))
    raise Refusal(code_pb2.UNIMPLEMENTED, "unknown message")


def announce(bus: str, machine: str, kind: str, address: str) -> mqtt.Client:
    """Say on the bus that we are ready, with a last will that says offline."""
    presence = bus_pb2.Presence(
        seq=1, device_id=DEVICE_ID, role=ROLE, kind=kind, address=address, version="flat 1",
        protocol_version=PROTOCOL_VERSION, state="ready", requested_slot="link", level="flat",
    )  # fmt: skip
    topic = f"l3/{machine}/devices/{DEVICE_ID}"
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    gone = bus_pb2.Presence(seq=2)
    gone.MergeFrom(presence)
    gone.seq, gone.state = 2, "offline"
    client.will_set(topic, MessageToJson(gone, preserving_proto_field_name=True), qos=1, retain=True)

    def hail(*_: Any) -> None:
        client.publish(topic, MessageToJson(presence, preserving_proto_field_name=True), qos=1, retain=True)

    client.on_connect = hail
    host, _, port = bus.rpartition(":")
    client.connect(host, int(port))
    client.loop_start()
    return client


def main(bus: str = "", machine: str = "l3", kind: str = "interconnect") -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = grpc.server(ThreadPoolExecutor(16), options=OPTIONS)
    pb_grpc.add_DeviceServiceServicer_to_server(Servicer(kind), server)
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    for service in ("", SERVICE):
        healthy.set(service, health_pb2.HealthCheckResponse.SERVING)
    client = announce(bus, machine, kind, address) if bus else None
    print(json.dumps({"event": "ready", "address": address}), flush=True)
    stop.wait()
    healthy.enter_graceful_shutdown()
    if client is not None:
        # Without goodbye the broker gives our last will.
        client.loop_stop()
    server.stop(5).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])

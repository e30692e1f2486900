"""Options that both ends of every channel share; set together, because one end alone breaks the other."""

import grpc
import grpc.aio

MIB = 2**20

#: Largest message, both ways. A message above it ends the call with RESOURCE_EXHAUSTED.
MAX_MESSAGE_BYTES = 64 * MIB
#: Largest set of headers; a rich status travels in them.
MAX_METADATA_BYTES = 64 * 1024

#: A peer that is silent for KEEPALIVE_S is asked whether it lives and has KEEPALIVE_WAIT_S to answer, so
#: a frozen one is noticed after at most their sum. A dead one is noticed at once, by its closed socket.
KEEPALIVE_S = 2
KEEPALIVE_WAIT_S = 2

#: Wall-clock deadline of one exchange with a device, and of one short call.
EXCHANGE_S = 120.0
CALL_S = 10.0

_BOTH = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_WAIT_S * 1000),
    # Without it a ping that is never answered ends the connection after a minute, whatever stands above.
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_WAIT_S * 1000),
    ("grpc.http2.max_pings_without_data", 0),
)

#: TCP_NODELAY needs no option: gRPC sets it on every socket.
CLIENT_OPTIONS = (
    *_BOTH,
    ("grpc.enable_http_proxy", 0),
    # How long connecting may take, say to a host that has vanished.
    ("grpc.min_reconnect_backoff_ms", (KEEPALIVE_S + KEEPALIVE_WAIT_S) * 1000),
)
SERVER_OPTIONS = (
    *_BOTH,
    # A server hangs up on a peer that pings more often than it allows; ours allows what our clients do.
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_S * 500),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
)


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to HOST:PORT; connects when first used. No proxy is ever asked."""
    return grpc.aio.insecure_channel(address, options=CLIENT_OPTIONS)


def new_server() -> grpc.aio.Server:
    """A server with the options that our channels expect."""
    return grpc.aio.server(options=SERVER_OPTIONS)

"""The embedded MQTT broker, a process of its own: `python -m l3sim.launch.broker --listen 127.0.0.1:0`.

amqtt (chosen because it is pure Python, so that a machine on one computer needs nothing but pip), for
loopback only: any process may connect. Compose uses mosquitto instead. asyncio sets TCP_NODELAY on every
connection that it accepts, which keeps a QoS 1 message from waiting 40 ms for its acknowledgement.
"""

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Sequence

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker

from l3sim.errors import InvalidInput
from l3sim.transport import lifetime

_LISTENER = "default"
#: We accept the connections (`external`), so that port 0 works and the port is known.
_CONFIG = {
    "listeners": {_LISTENER: {"type": "external"}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}


async def serve(listen: str, lifeline: bool) -> None:
    """Serve until SIGTERM, SIGINT or, with `lifeline`, until stdin ends; prints the ready line first.

    Raises:
        InvalidInput: the address is malformed, taken or not ours.
    """
    host, port = lifetime.host_and_port(listen, "listen")
    broker = Broker(_CONFIG)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), _LISTENER)

    async with lifetime.StopSignal(lifeline=lifeline) as stop:
        await broker.start()
        try:
            server = await asyncio.start_server(accept, host, port, family=socket.AF_INET, reuse_address=True)
        except OSError as error:
            raise InvalidInput(("listen", f"cannot bind {listen}: {error.strerror}")) from None
        bound = server.sockets[0].getsockname()[1]
        lifetime.announce_ready(lifetime.reachable_address(listen, bound))
        await stop.wait()
        server.close()
        await broker.shutdown()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the broker; exits 0 when asked to stop, 2 when it cannot listen."""
    parser = argparse.ArgumentParser(
        prog="python -m l3sim.launch.broker", description="the embedded MQTT broker"
    )
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="port 0: any free one")
    parser.add_argument("--lifeline", action="store_true", help="end when stdin ends: the parent has died")
    options = parser.parse_args(argv)
    lifetime.log_as_json("error")
    # A device that was killed is the devices' and orchestrator's news, not the broker's.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    try:
        asyncio.run(serve(options.listen, options.lifeline))
    except InvalidInput as error:
        lifetime.complain(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

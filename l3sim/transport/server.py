"""Serve a Device over gRPC: sessions, health, reflection, presence, and an orderly end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from l3sim import PROTOCOL_VERSION
from l3sim.device import Identity
from l3sim.errors import InvariantBroken, L3Error, Unsupported
from l3sim.kinds import made
from l3sim.origin import read
from l3sim.ports import Device
from l3sim.transport import lifetime
from l3sim.transport.conversation import Conversation, check_protocol, saying
from l3sim.transport.convert.functional import answer_to_proto, functional_from_proto
from l3sim.transport.convert.rounds import commits_from_proto, costs_to_proto, window_from_proto
from l3sim.transport.convert.session import (
    accounts_to_proto,
    description_to_proto,
    hello_from_proto,
    ready_to_proto,
)
from l3sim.transport.description import described
from l3sim.transport.device_arguments import DeviceArguments, parse_device_arguments
from l3sim.transport.presence import announce
from l3sim.transport.status import abort
from l3sim.v1 import device_pb2 as pb
from l3sim.v1 import device_pb2_grpc

SERVICE = pb.DESCRIPTOR.services_by_name["DeviceService"].full_name

log = logging.getLogger(__name__)


class DeviceServicer(device_pb2_grpc.DeviceServiceServicer):  # type: ignore[misc]
    """DeviceService over any Device.

    Device models run on the event loop: an orchestrator waits for the answer anyway, and a thread would
    cost more than most windows do.
    """

    def __init__(self, device: Device) -> None:
        self._device = device

    async def Describe(  # noqa: N802
        self, _request: pb.DescribeRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.DescribeResponse:
        """See device.proto."""
        await asyncio.to_thread(read, type(self._device))
        try:
            devices = [description_to_proto(description) for description in described(self._device)]
        except L3Error as error:
            log.warning("cannot be described: %s", error, extra={"reason": error.reason})
            await abort(context, error)
        return pb.DescribeResponse(protocol_version=PROTOCOL_VERSION, devices=devices)

    async def Session(  # noqa: N802
        self,
        requests: AsyncIterator[pb.SessionRequest],
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> AsyncIterator[pb.SessionResponse]:
        """See device.proto. A stream that breaks takes its session with it."""
        conversation = Conversation(self._device)
        async for request in requests:
            try:
                # Hello may have a table built, which takes seconds; the loop goes on answering meanwhile.
                if request.HasField("hello"):
                    response = await asyncio.to_thread(answer, conversation, request)
                else:
                    response = answer(conversation, request)
            except InvariantBroken as error:
                log.exception("session failed", extra={"reason": error.reason})
                await abort(context, error)
            except L3Error as error:
                log.warning("session refused: %s", error, extra={"reason": error.reason})
                await abort(context, error)
            yield response
            if response.HasField("closed"):
                return


def answer(conversation: Conversation, request: pb.SessionRequest) -> pb.SessionResponse:
    """Answer one message of a session.

    Raises:
        L3Error: the session is over; whatever else a device raises has become InvariantBroken.
    """
    with saying():
        if request.HasField("window"):
            costs = conversation.window(window_from_proto(request.window))
            return pb.SessionResponse(costs=costs_to_proto(costs))
        if request.HasField("hello"):
            # Before the rest is read: another version's Hello may not be readable.
            check_protocol(request.hello.protocol_version)
            return pb.SessionResponse(
                ready=ready_to_proto(conversation.hello(hello_from_proto(request.hello)))
            )
        if request.HasField("estimate"):
            windows = [window_from_proto(window) for window in request.estimate.windows]
            estimates = [costs_to_proto(costs) for costs in conversation.estimate(windows)]
            return pb.SessionResponse(estimates=pb.Estimates(costs=estimates))
        if request.HasField("audit"):
            accounts = accounts_to_proto(conversation.audit())
            return pb.SessionResponse(accounts=pb.Accounts(accounts=accounts))
        if request.HasField("functional"):
            done = conversation.functional(functional_from_proto(request.functional))
            return pb.SessionResponse(functional=answer_to_proto(done))
        if request.HasField("close"):
            accounts = accounts_to_proto(conversation.close(commits_from_proto(request.close.commits)))
            return pb.SessionResponse(closed=pb.Closed(accounts=accounts))
    raise Unsupported(
        "unknown message in a session; this device speaks Hello, Window, Estimate, Audit, Functional, Close"
    )


class DeviceServer(lifetime.Served):
    """A device behind an address, for as long as the context lasts; see Served."""

    def __init__(self, device: Device, listen: str = "127.0.0.1:0", health_file: Path | None = None) -> None:
        super().__init__([SERVICE], listen, health_file)
        device_pb2_grpc.add_DeviceServiceServicer_to_server(DeviceServicer(device), self.server)

    @property
    def address(self) -> str:
        """HOST:PORT as listened at."""
        return f"{lifetime.host_and_port(self.listen, 'listen')[0]}:{self.port}"


def device_main(
    make_device: Callable[[Sequence[Identity]], Device], role: str, kind: str, argv: Sequence[str]
) -> int:
    """Run a device process until it is told to stop; what `transport.serve` does for a class.

    Args:
        make_device: all devices of the process from their identities.
        role, kind: for messages and default ids.
        argv: without the program's name; see `parse_device_arguments`.

    Returns:
        The exit code: 0 after an orderly end, else that of the error, said in one line on stderr.
    """
    arguments = parse_device_arguments(role, kind, argv)
    if arguments is None:
        return 2
    lifetime.log_as_json(arguments.log_level)
    try:
        device = made(make_device, arguments.identities)
        read(type(device))
        asyncio.run(_serve(device, arguments))
    except L3Error as error:
        lifetime.complain(error)
        return error.exit_code
    return 0


async def _serve(device: Device, arguments: DeviceArguments) -> None:
    async with lifetime.StopSignal(lifeline=arguments.lifeline) as stop:
        async with DeviceServer(device, arguments.listen, arguments.health_file) as server:
            address = lifetime.reachable_address(arguments.listen, server.port, arguments.advertise)
            async with announce(described(device), address, arguments.machine, arguments.bus):
                lifetime.announce_ready(address)
                log.info("ready", extra={"address": address, "devices": len(arguments.identities)})
                await stop.wait()
            # We are no longer found by the bus; health and drain follow.
        log.info("stopped")

"""The checks in order, and how they are run against an address."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc.aio

from l3sim.conformance import books, breaking, costs, opening, presence, stripes
from l3sim.conformance.subject import Subject, subject_of
from l3sim.conformance.talk import Refused
from l3sim.conformance.verdicts import Check, Failed, Outcome, Skipped, Verdict
from l3sim.errors import InvalidInput, Unreachable
from l3sim.registry import unknown
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.transport import channels
from l3sim.transport.convert.session import description_from_proto
from l3sim.v1 import device_pb2 as pb
from l3sim.v1 import device_pb2_grpc
from l3sim.work import DeviceDescription

#: Four pings, of which gRPC's servers bear two when nothing is said.
IDLE_S = 9.0

#: In the order in which they run. What a check needs stands above it.
CHECKS = (
    Check("describe", "says who it is and what it can do", presence.describes_itself),
    Check("health", "speaks grpc.health.v1", presence.is_healthy),
    Check("reflection", "speaks gRPC reflection", presence.reflects),
    Check("schema", "publishes a schema of its configuration", presence.has_a_schema, ("describe",)),
    Check("operations", "lists what its role must cost", presence.can_do_its_part, ("describe",)),
    Check("hello", "answers Hello with Ready", opening.answers_hello, ("schema",)),
    Check("unknown-key", "refuses unknown configuration keys", opening.refuses_unknown_keys, ("hello",)),
    Check("version", "rejects other protocol versions", opening.refuses_other_versions, ("hello",)),
    Check("order", "takes Hello first and once", opening.keeps_order, ("hello",)),
    Check("close", "ends a session well", breaking.closes, ("hello",)),
    Check("shapes", "answers windows of all shapes", costs.answers_all_shapes, ("hello", "operations")),
    Check("units", "answers sane picoseconds and nanojoules", costs.has_sane_units, ("shapes",)),
    Check("deterministic", "answers the same again", costs.is_deterministic, ("shapes",)),
    Check("lockstep", "windows cost what their rounds do", costs.is_the_same_in_lockstep, ("deterministic",)),
    Check("no-trace", "forgets what is not committed", costs.leaves_no_trace, ("deterministic",)),
    Check("monotone", "never costs less for more", costs.is_monotone, ("units",)),
    Check("ledger", "refuses windows that contradict it", books.refuses_contradictions, ("shapes",)),
    Check("books", "counts windows, rounds, requests, bytes", books.keeps_books, ("shapes", "close")),
    Check("capacity", "holds what it says, and no more", books.is_honest_about_capacity, ("books",)),
    Check(
        "stripes", "lays KV over ranks as it lists", stripes.lays_stripes, ("lockstep", "monotone", "books")
    ),
    Check("cancel", "survives cancelled sessions", breaking.survives_cancelled_sessions, ("shapes", "close")),
    Check("pings", "bears pings while it waits", breaking.bears_pings, ("close",)),
    Check("broken-session", "survives nonsense", breaking.survives_broken_sessions, ("cancel",)),
)


@dataclass(frozen=True)
class Question:
    """What `run_suite` is asked.

    Attributes:
        address: HOST:PORT.
        machine: its section of the device's role is the configuration, unless `config` is given.
        config: the whole configuration, or None.
        settings: keys above that.
        device_id: who of several devices at the address; "": the first.
        wait_s: wall-clock time that an answer may take.
        idle_s: how long a session is left waiting, to see whether it bears pings; 0: not at all.
    """

    address: str
    machine: Machine
    model: ModelShape
    config: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    device_id: str
    wait_s: float
    idle_s: float = IDLE_S


async def run_suite(question: Question) -> AsyncIterator[tuple[DeviceDescription, Outcome]]:
    """Ask one device everything; yields each outcome as it comes.

    Raises:
        Unreachable: no device answers at the address.
        InvalidInput: no such device lives there.
    """
    async with channels.open_channel(question.address) as channel:
        subject = await _meet(question, channel)
        passed: set[str] = set()
        for check in CHECKS:
            outcome = await _run(check, subject, passed)
            if outcome.verdict is Verdict.PASSED:
                passed.add(check.name)
            yield subject.description, outcome


async def _meet(question: Question, channel: grpc.aio.Channel) -> Subject:
    stub = device_pb2_grpc.DeviceServiceStub(channel)
    try:
        described = await stub.Describe(pb.DescribeRequest(), timeout=min(question.wait_s, channels.CALL_S))
    except grpc.aio.AioRpcError as failed:
        text = " ".join((failed.details() or "").split())
        raise Unreachable(
            f"no DeviceService answers at {question.address}: {failed.code().name} {text}"
        ) from None
    devices = {device.device_id: device for device in described.devices}
    wanted = question.device_id or next(iter(devices), "")
    if wanted not in devices:
        raise InvalidInput(("device", unknown("device", wanted, list(devices))))
    description = description_from_proto(devices[wanted])
    # In a thread: to check the configuration a machine may look for installed kinds.
    subject = await asyncio.to_thread(
        subject_of,
        question.address,
        channel,
        described,
        description,
        question.machine,
        question.model,
        question.config,
        question.wait_s,
        question.idle_s,
    )
    subject.config.update(question.settings)
    return subject


async def _run(check: Check, subject: Subject, passed: set[str]) -> Outcome:
    begin = time.monotonic()
    verdict, text = Verdict.PASSED, ""
    lacking = [name for name in check.needs if name not in passed]
    try:
        if lacking:
            raise Skipped(f"needs {', '.join(lacking)}")
        await check.ask(subject)
    except Failed as failed:
        verdict, text = Verdict.FAILED, str(failed)
    except Refused as refused:
        verdict, text = Verdict.FAILED, f"it ended the session: {refused}"
    except Skipped as skipped:
        verdict, text = Verdict.SKIPPED, str(skipped)
    return Outcome(check.name, check.promise, verdict, text, time.monotonic() - begin)

"""How a session begins: Hello and Ready, and what has to be refused before any work."""

import json

import grpc

from l3sim import PROTOCOL_VERSION
from l3sim.conformance.subject import UNKNOWN_KEY, Subject, same
from l3sim.conformance.talk import Refused, Talk
from l3sim.conformance.verdicts import Failed
from l3sim.transport.convert.session import hello_to_proto
from l3sim.v1 import device_pb2 as pb
from l3sim.work import Hello, Role


async def answers_hello(subject: Subject) -> None:
    """Ready follows the slots of Hello and says what the session will use."""
    hello = subject.hello()
    async with subject.talk() as talk:
        try:
            ready = await talk.hello(hello)
        except Refused as refused:
            text = f"{refused}; give its configuration with --config or --set"
            raise Failed(f"Hello with configuration {sorted(hello.slots[0].config)[:5]}...: {text}") from None
    same("the list of slots in Ready", [one.slot for one in ready.devices], [hello.slots[0].slot])
    (one,) = ready.devices
    levels = subject.description.levels
    if one.level not in levels:
        raise Failed(f"level is {one.level!r}, Describe listed: {', '.join(levels)}")
    if not one.domains or len(set(one.domains)) != len(one.domains):
        raise Failed(f"domains must name at least one, each once, got {list(one.domains)}")
    try:
        good = isinstance(json.loads(one.config_json), dict)
    except ValueError:
        good = False
    if not good:
        raise Failed(f"config_json must be a JSON object, got {one.config_json[:60]!r}")
    if subject.description.role == Role.ATTENTION:
        same("the number of domains", len(one.domains), len(subject.assignments))
        _check_rooms(subject, one)
    for region in one.regions:
        if region.granule_bytes < 1 or region.granule_bytes > max(region.capacity_bytes, 1):
            raise Failed(
                f"region {region.name}: granule {region.granule_bytes} of capacity {region.capacity_bytes}"
            )


def _check_rooms(subject: Subject, one: pb.DeviceReady) -> None:
    """Each rank in use has a region, in order, with room for KV: a job starts on no other."""
    used = [assignment for assignment in subject.assignments if not assignment.unused]
    if len(one.regions) < len(used):
        raise Failed(
            f"{len(one.regions)} memory regions for {len(subject.assignments)} ranks; list one a rank"
        )
    for assignment, region in zip(used, one.regions, strict=False):
        if not region.capacity_bytes:
            text = f"rank {assignment.rank} of rankset {assignment.rankset} has no KV memory"
            raise Failed(f"region {region.name}: {text}")


async def refuses_unknown_keys(subject: Subject) -> None:
    """A configuration key that it does not know is INVALID_ARGUMENT, and BadRequest names it."""
    hello = subject.hello(**{UNKNOWN_KEY: 1})
    refused = await refusal(subject, hello, f"Hello with the key {UNKNOWN_KEY}")
    if refused.code is not grpc.StatusCode.INVALID_ARGUMENT:
        raise Failed(f"Hello with an unknown key: {refused.code.name}, must be INVALID_ARGUMENT")
    if not any(UNKNOWN_KEY in field for field in refused.fields):
        raise Failed(f"BadRequest names {list(refused.fields)}, must name {UNKNOWN_KEY}")


async def refuses_other_versions(subject: Subject) -> None:
    """Another protocol version is FAILED_PRECONDITION."""
    message = hello_to_proto(subject.hello())
    message.protocol_version = PROTOCOL_VERSION + 1
    async with subject.talk() as talk:
        await must_refuse(
            talk, pb.SessionRequest(hello=message), f"Hello of version {message.protocol_version}"
        )


async def keeps_order(subject: Subject) -> None:
    """Hello comes first and once."""
    request = pb.SessionRequest(audit=pb.Audit())
    async with subject.talk() as talk:
        await must_refuse(talk, request, "Audit before Hello")
    async with subject.session() as talk:
        again = pb.SessionRequest(hello=hello_to_proto(subject.hello()))
        await must_refuse(talk, again, "a second Hello")


async def refusal(subject: Subject, hello: Hello, what: str) -> Refused:
    """The status with which a Hello is refused.

    Raises:
        Failed: it is taken.
    """
    async with subject.talk() as talk:
        try:
            await talk.hello(hello)
        except Refused as refused:
            return refused
    raise Failed(f"{what} is taken, must be refused")


async def must_refuse(
    talk: Talk,
    request: pb.SessionRequest,
    what: str,
    code: grpc.StatusCode = grpc.StatusCode.FAILED_PRECONDITION,
) -> None:
    """A message that must end the session with a code.

    Raises:
        Failed: it is answered, or ends the session otherwise.
    """
    try:
        await talk.ask(request, "a refusal")
    except Refused as refused:
        if refused.code is not code:
            raise Failed(f"{what}: {refused}; must be {code.name}") from None
        return
    except Failed as failed:
        raise Failed(f"{what} must be refused with {code.name}; {failed}") from None

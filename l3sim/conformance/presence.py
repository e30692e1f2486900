"""Who is there: Describe, health and reflection."""

import asyncio
import json

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from l3sim import PROTOCOL_VERSION
from l3sim.conformance.subject import Subject, same
from l3sim.conformance.verdicts import Failed
from l3sim.errors import InvalidInput
from l3sim.specs.schema import keys_of, required_of
from l3sim.v1 import device_pb2 as pb
from l3sim.work import BLOCK, DeviceDescription, Op, Role, needed_operations

SERVICE = pb.DESCRIPTOR.services_by_name["DeviceService"].full_name


async def describes_itself(subject: Subject) -> None:
    """Describe says who lives there, in words that the machine knows."""
    same("protocol_version", subject.described.protocol_version, PROTOCOL_VERSION)
    ids = [device.device_id for device in subject.described.devices]
    if len(set(ids)) != len(ids):
        raise Failed(f"device ids are not unique: {', '.join(sorted(ids))}")
    one = subject.description
    for name in ("device_id", "kind", "version"):
        if not getattr(one, name):
            raise Failed(f"{name} is empty")
    if one.role not in set(Role):
        raise Failed(f"role is {one.role!r}, must be one of: {', '.join(Role)}")
    _check_lists(one)
    for name, text in (
        ("config_schema_json", one.config_schema_json),
        ("overrides_json", one.overrides_json),
    ):
        try:
            good = isinstance(json.loads(text), dict)
        except ValueError:
            good = False
        if not good:
            raise Failed(f"{name} must be a JSON object, got {text[:60]!r}")


async def has_a_schema(subject: Subject) -> None:
    """The schema can be read, and a machine's section is made of the keys that it lists."""
    one = subject.description
    try:
        known, required = keys_of(one.config_schema_json), required_of(one.config_schema_json)
    except InvalidInput as error:
        raise Failed(str(error)) from None
    if subject.refused:
        raise Failed(f"no machine could say its configuration: {subject.refused}")
    strange = set(json.loads(one.overrides_json)) - known
    if known and strange:
        raise Failed(f"overrides_json has the key {min(strange)!r}, which config_schema_json does not list")
    lacking = required - subject.config.keys() - json.loads(one.overrides_json).keys()
    if subject.section is not None and lacking:
        raise Failed(
            f"config_schema_json requires {min(lacking)!r}, which the machine's section does not say"
        )


async def can_do_its_part(subject: Subject) -> None:
    """It lists every operation that no other role costs."""
    one = subject.description
    lacking = needed_operations(one.role, subject.layout.decode) - set(one.operations)
    if lacking:
        raise Failed(f"operations lack {', '.join(sorted(lacking))}, which role {one.role} must cost")


def _check_lists(one: DeviceDescription) -> None:
    for name in ("operations", "domains", "levels"):
        values = getattr(one, name)
        if not values or len(set(values)) != len(values):
            raise Failed(f"{name} must name at least one, each once, got {list(values)}")
    unknown = sorted(set(one.partitions) - {BLOCK})
    if unknown or len(set(one.partitions)) != len(one.partitions):
        raise Failed(f"partitions may name {BLOCK!r}, once, got {list(one.partitions)}")
    strange = set(one.operations) - set(Op)
    if strange:
        raise Failed(f"operation {min(strange)!r} is unknown; there are: {', '.join(Op)}")


async def is_healthy(subject: Subject) -> None:
    """grpc.health.v1 says SERVING, overall and for DeviceService."""
    stub = health_pb2_grpc.HealthStub(subject.channel)
    for service in ("", SERVICE):
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=subject.wait_s)
        except grpc.aio.AioRpcError as failed:
            raise Failed(f"health of {service or 'the server'}: {failed.code().name}") from None
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            state = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            raise Failed(f"health of {service or 'the server'} is {state}, must be SERVING")


async def reflects(subject: Subject) -> None:
    """gRPC reflection lists DeviceService, so that any tool can talk to it."""
    stub = reflection_pb2_grpc.ServerReflectionStub(subject.channel)
    call = stub.ServerReflectionInfo(timeout=subject.wait_s)
    try:
        async with asyncio.timeout(subject.wait_s):
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            answer = await call.read()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
        raise Failed("reflection does not answer") from None
    finally:
        call.cancel()
    listed = [service.name for service in answer.list_services_response.service]
    if SERVICE not in listed:
        raise Failed(f"reflection lists {', '.join(listed) or 'nothing'}, but not {SERVICE}")

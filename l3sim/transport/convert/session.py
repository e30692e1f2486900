"""The dataclasses of `l3sim.work` <-> the messages of `device.proto`, without loss, both ways.

`x_to_proto` trusts its argument; `x_from_proto` checks what the wire does not promise and raises
InvalidInput naming the field. Windows and costs stand in `convert_rounds`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from l3sim.errors import InvalidInput
from l3sim.placement import DecodePlacement, Layout
from l3sim.specs.model import ModelShape, model_from
from l3sim.v1 import device_pb2 as pb
from l3sim.work import (
    Account,
    DeviceDescription,
    DeviceReady,
    Fidelity,
    Hello,
    MemoryRegion,
    RankAssignment,
    SlotAssignment,
)

_LAYOUT_SIZES = tuple(field.name for field in fields(Layout) if field.name not in ("decode", "stripe_tokens"))
_DECODE = {
    DecodePlacement.ATTENTION: pb.DECODE_PLACEMENT_ATTENTION,
    DecodePlacement.GPU: pb.DECODE_PLACEMENT_GPU,
    DecodePlacement.BOTH: pb.DECODE_PLACEMENT_BOTH,
}
_DECODE_FROM = {value: placement for placement, value in _DECODE.items()}
_MODEL_FIELDS = ModelShape.__struct_fields__


# --- what a device is ---------------------------------------------------------------------------------


def description_to_proto(description: DeviceDescription) -> pb.DeviceDescription:
    """One device's description."""
    return pb.DeviceDescription(
        device_id=description.device_id,
        role=description.role,
        kind=description.kind,
        version=description.version,
        operations=description.operations,
        domains=description.domains,
        regions=_regions_to_proto(description.regions),
        lookahead_rounds=description.lookahead_rounds,
        levels=description.levels,
        config_schema_json=description.config_schema_json,
        requested_slot=description.requested_slot,
        overrides_json=description.overrides_json,
        partitions=description.partitions,
    )


def description_from_proto(message: pb.DeviceDescription) -> DeviceDescription:
    """One device's description."""
    return DeviceDescription(
        device_id=message.device_id,
        role=message.role,
        kind=message.kind,
        version=message.version,
        operations=tuple(message.operations),
        domains=tuple(message.domains),
        regions=_regions_from_proto(message.regions),
        lookahead_rounds=message.lookahead_rounds,
        levels=tuple(message.levels),
        config_schema_json=message.config_schema_json,
        requested_slot=message.requested_slot,
        overrides_json=message.overrides_json,
        partitions=tuple(message.partitions),
    )


# --- opening a session --------------------------------------------------------------------------------


def model_to_proto(model: ModelShape) -> pb.ModelShape:
    """A model's shape; field names are the same on both sides."""
    return pb.ModelShape(**{name: getattr(model, name) for name in _MODEL_FIELDS})


def model_from_proto(message: pb.ModelShape) -> ModelShape:
    """A model's shape.

    Raises:
        InvalidInput: a size is out of range.
    """
    return model_from({name: getattr(message, name) for name in _MODEL_FIELDS})


def layout_to_proto(layout: Layout) -> pb.Layout:
    """How a job is laid over the machine."""
    sizes = {name: getattr(layout, name) for name in _LAYOUT_SIZES}
    return pb.Layout(**sizes, decode=_DECODE[layout.decode], stripe_tokens=layout.stripe_tokens)


def layout_from_proto(message: pb.Layout) -> Layout:
    """How a job is laid over the machine.

    Raises:
        InvalidInput: a size is 0, it is not said who attends, or a stripe has no whole blocks.
    """
    for name in _LAYOUT_SIZES:
        if getattr(message, name) < 1:
            raise InvalidInput((f"layout.{name}", "must be at least 1, got 0"))
    if message.decode not in _DECODE_FROM:
        text = f"must say who attends (1: attention devices, 2: GPUs), got {message.decode}"
        raise InvalidInput(("layout.decode", text))
    if message.stripe_tokens % message.kv_block_tokens:
        text = (
            f"must be a multiple of kv_block_tokens ({message.kv_block_tokens}), got {message.stripe_tokens}"
        )
        raise InvalidInput(("layout.stripe_tokens", text))
    sizes = {name: getattr(message, name) for name in _LAYOUT_SIZES}
    return Layout(**sizes, decode=_DECODE_FROM[message.decode], stripe_tokens=message.stripe_tokens)


def hello_to_proto(hello: Hello) -> pb.Hello:
    """Hello."""
    return pb.Hello(
        protocol_version=hello.protocol_version,
        job_id=hello.job_id,
        seed=hello.seed,
        model=model_to_proto(hello.model),
        layout=layout_to_proto(hello.layout),
        slots=[
            pb.SlotAssignment(
                device_id=slot.device_id,
                slot=slot.slot,
                config_json=_json(slot.config),
                assignments=[
                    pb.RankAssignment(
                        replica=assignment.replica,
                        rankset=assignment.rankset,
                        rank=assignment.rank,
                        unused=assignment.unused,
                    )
                    for assignment in slot.assignments
                ],
            )
            for slot in hello.slots
        ],
    )


def hello_from_proto(message: pb.Hello) -> Hello:
    """Hello.

    Raises:
        InvalidInput: a model, layout or assignment out of range, or a configuration that is no JSON object.
    """
    layout = layout_from_proto(message.layout)
    slots = tuple(_slot_from_proto(slot, f"slots[{index}]") for index, slot in enumerate(message.slots))
    if not slots:
        raise InvalidInput(("slots", "must name at least one device"))
    for index, slot in enumerate(slots):
        if layout.on_gpu and slot.assignments:
            raise InvalidInput((f"slots[{index}].assignments", "the GPUs attend, so no rank is assigned"))
        for assignment in slot.assignments:
            if assignment.replica >= layout.dp or assignment.rank >= layout.ranks:
                text = f"replica {assignment.replica}, rank {assignment.rank} lies outside the layout"
                raise InvalidInput((f"slots[{index}].assignments", text))
    return Hello(
        protocol_version=message.protocol_version,
        job_id=message.job_id,
        seed=message.seed,
        model=model_from_proto(message.model),
        layout=layout,
        slots=slots,
    )


def ready_to_proto(devices: Sequence[DeviceReady]) -> pb.Ready:
    """The answer to Hello."""
    return pb.Ready(
        devices=[
            pb.DeviceReady(
                slot=device.slot,
                level=device.level,
                lookahead_rounds=device.lookahead_rounds,
                domains=device.domains,
                regions=_regions_to_proto(device.regions),
                config_json=_json(device.config),
                idle_mw=device.idle_mw,
            )
            for device in devices
        ]
    )


def ready_from_proto(message: pb.Ready) -> tuple[DeviceReady, ...]:
    """The answer to Hello.

    Raises:
        InvalidInput: a configuration that is no JSON object.
    """
    return tuple(
        DeviceReady(
            slot=device.slot,
            level=device.level,
            lookahead_rounds=device.lookahead_rounds,
            domains=tuple(device.domains),
            regions=_regions_from_proto(device.regions),
            config=_object(device.config_json, f"devices[{index}].config_json"),
            idle_mw=device.idle_mw,
        )
        for index, device in enumerate(message.devices)
    )


# --- closing it ---------------------------------------------------------------------------------------


def accounts_to_proto(accounts: Iterable[Account]) -> list[pb.Account]:
    """Devices' own books."""
    return [
        pb.Account(
            slot=account.slot,
            windows=account.windows,
            rounds=account.rounds,
            held_bytes=account.held_bytes,
            requests=account.requests,
            fidelity=pb.Fidelity(**asdict(account.fidelity)),
            counters=account.counters,
        )
        for account in accounts
    ]


def accounts_from_proto(messages: Iterable[pb.Account]) -> tuple[Account, ...]:
    """Devices' own books."""
    return tuple(
        Account(
            slot=message.slot,
            windows=message.windows,
            rounds=message.rounds,
            held_bytes=tuple(message.held_bytes),
            requests=message.requests,
            fidelity=_fidelity_from_proto(message.fidelity),
            counters=dict(message.counters),
        )
        for message in messages
    )


def _fidelity_from_proto(message: pb.Fidelity) -> Fidelity:
    return Fidelity(message.windows, message.calls, message.gap_ps, message.gap_ppm)


# --- pieces -------------------------------------------------------------------------------------------


def _slot_from_proto(message: pb.SlotAssignment, where: str) -> SlotAssignment:
    assignments = tuple(
        RankAssignment(assignment.replica, assignment.rankset, assignment.rank, assignment.unused)
        for assignment in message.assignments
    )
    config = _object(message.config_json, f"{where}.config_json")
    return SlotAssignment(message.device_id, message.slot, config, assignments)


def _regions_to_proto(regions: Iterable[MemoryRegion]) -> list[pb.MemoryRegion]:
    return [
        pb.MemoryRegion(
            name=region.name, capacity_bytes=region.capacity_bytes, granule_bytes=region.granule_bytes
        )
        for region in regions
    ]


def _regions_from_proto(messages: Iterable[pb.MemoryRegion]) -> tuple[MemoryRegion, ...]:
    return tuple(
        MemoryRegion(message.name, message.capacity_bytes, message.granule_bytes) for message in messages
    )


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise InvalidInput((where, f"must be a JSON object, got {text[:60]!r}")) from None
    if not isinstance(value, dict):
        raise InvalidInput((where, f"must be a JSON object, got {text[:60]!r}"))
    return value

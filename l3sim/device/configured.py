"""What all devices that are configured by a section of the machine file share: who they are, what they take.

A subclass names its role, kind, operations and configuration struct, and opens sessions. Configuration comes
with Hello; what an instance was started with (`Identity.overrides`) stands above it, for that instance only.
"""

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from l3sim import VERSION
from l3sim.device.identity import Identity
from l3sim.errors import InvalidInput, NotFound
from l3sim.ports import Device, DeviceSession
from l3sim.registry import unknown
from l3sim.specs.section import Section
from l3sim.specs.values import fields_of, fill
from l3sim.work import DeviceDescription, Hello, Op, Role, SlotAssignment

ConfigT = TypeVar("ConfigT", bound=msgspec.Struct)

#: What the names of a role's slots begin with.
SLOT_PREFIX = {Role.GPU: "gpu", Role.ATTENTION: "dimm-", Role.LINK: "link"}


class ConfiguredDevice(Device, Generic[ConfigT]):
    """All devices of one kind in this process.

    Args:
        identities: who is here, at least one.

    Raises:
        InvalidInput: two of them share an id, or an override is refused; the field is `id.key`.
    """

    role: ClassVar[Role]
    kind: ClassVar[str]
    operations: ClassVar[tuple[Op, ...]]
    #: Domains before Hello has said how many replicas, ranks or ranksets there are.
    domains: ClassVar[tuple[str, ...]]
    levels: ClassVar[tuple[str, ...]] = ("roofline",)
    #: Keys that shape the whole machine or job: one device cannot differ in them.
    shared_keys: ClassVar[frozenset[str]] = frozenset({"kind"})
    #: The same as ConfigT, for run time: its keys are those of the machine file's section.
    struct: ClassVar[type[msgspec.Struct]]
    #: What a section may be instead, with more keys.
    further: ClassVar[tuple[type[msgspec.Struct], ...]] = ()
    #: Of the implementation.
    version: ClassVar[str] = VERSION

    def __init__(self, identities: Sequence[Identity]) -> None:
        self._identities: dict[str, Identity] = {}
        for identity in identities:
            if identity.device_id in self._identities:
                raise InvalidInput(("id", f"two devices are called {identity.device_id!r}; rename one"))
            self._identities[identity.device_id] = identity
            self._check_overrides(identity)

    @abstractmethod
    def open(self, hello: Hello) -> DeviceSession:
        """See Device.open."""

    def describe(self) -> Sequence[DeviceDescription]:
        """See Device.describe. Regions come with Ready: their sizes are in the machine file."""
        schema = json.dumps(self._schema(), sort_keys=True)
        return [
            DeviceDescription(
                device_id=identity.device_id,
                role=self.role,
                kind=self.kind,
                version=self.version,
                operations=tuple(op.value for op in self.operations),
                domains=self.domains,
                regions=(),
                lookahead_rounds=0,
                levels=self.levels,
                config_schema_json=schema,
                requested_slot=identity.requested_slot,
                overrides_json=json.dumps(dict(identity.overrides), sort_keys=True),
            )
            for identity in self._identities.values()
        ]

    def settle(self, hello: Hello) -> list[ConfigT]:
        """Check Hello and resolve the configuration of each of its slots, in order.

        Raises:
            NotFound: a device id that does not live here.
            InvalidInput: a slot of another role, or a key or value that is refused.
        """
        if not hello.slots:
            raise InvalidInput(("slots", f"Hello names no {self.kind} device; name at least one"))
        taken: set[str] = set()
        for slot in hello.slots:
            if slot.device_id in taken:
                raise InvalidInput((slot.slot, f"{slot.device_id!r} fills a slot already; name another"))
            taken.add(slot.device_id)
        return [self._settle_slot(slot) for slot in hello.slots]

    def _settle_slot(self, slot: SlotAssignment) -> ConfigT:
        identity = self._identities.get(slot.device_id)
        if identity is None:
            raise NotFound(unknown("device", slot.device_id, list(self._identities)))
        if not slot.slot.startswith(SLOT_PREFIX[self.role]):
            raise InvalidInput((slot.slot, f"is no slot for role {self.role}, which {self.kind} has"))
        kind = slot.config.get("kind", self.kind)
        if kind != self.kind:
            raise InvalidInput((f"{slot.slot}.kind", f"must be {self.kind!r} here, got {kind!r}"))
        values = {**slot.config, **identity.overrides}
        level = values.get("level", self.levels[0])
        if level not in self.levels:
            raise InvalidInput((f"{slot.slot}.level", unknown("level", str(level), list(self.levels))))
        if "kind" not in [field.name for field in self._fields()]:
            values.pop("kind", None)
        of = self.struct.struct_for(values) if issubclass(self.struct, Section) else self.struct
        try:
            return fill(self.role, of, values, slot.device_id)  # type: ignore[return-value]
        except InvalidInput as error:
            renamed = [(_under(slot.slot, field), text) for field, text in error.violations]
            raise InvalidInput(*renamed) from None

    def _fields(self) -> tuple[msgspec.structs.FieldInfo, ...]:
        found = {field.name: field for struct in (self.struct, *self.further) for field in fields_of(struct)}
        return tuple(found.values())

    def _schema(self) -> dict[str, Any]:
        """JSON schema of the configuration: any of the structs that it may be."""
        if not self.further:
            return (
                self.struct.schema() if issubclass(self.struct, Section) else msgspec.json.schema(self.struct)
            )
        schemas, named = msgspec.json.schema_components((self.struct, *self.further))
        return {"anyOf": list(schemas), "$defs": named}

    def _check_overrides(self, identity: Identity) -> None:
        fields = {field.name: field for field in self._fields()}
        for key, value in identity.overrides.items():
            path = f"{identity.device_id}.{key}"
            if key not in fields:
                raise InvalidInput((path, unknown("key", key, list(fields))))
            if key in self.shared_keys:
                text = "belongs to the whole machine, not to one device; set it in the machine file"
                raise InvalidInput((path, text))
            _check_value(path, fields[key], value)


def _check_value(path: str, field: msgspec.structs.FieldInfo, value: Any) -> None:
    try:
        msgspec.convert(value, field.type)
    except msgspec.ValidationError as error:
        raise InvalidInput((path, f"{error}, got {value!r}")) from None


def _under(slot: str, field: str) -> str:
    """`attention.key` as `dimm-07.key`."""
    return f"{slot}.{field.partition('.')[2]}"

from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetMachineRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetMachineResponse(_message.Message):
    __slots__ = ("name", "description", "digest", "version", "protocol_version", "ready", "roles", "models", "policies", "workloads", "default_model", "resolved_yaml")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MODEL_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_YAML_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    digest: str
    version: str
    protocol_version: int
    ready: bool
    roles: _containers.RepeatedCompositeFieldContainer[RoleState]
    models: _containers.RepeatedScalarFieldContainer[str]
    policies: _containers.RepeatedScalarFieldContainer[str]
    workloads: _containers.RepeatedScalarFieldContainer[str]
    default_model: str
    resolved_yaml: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., digest: _Optional[str] = ..., version: _Optional[str] = ..., protocol_version: _Optional[int] = ..., ready: _Optional[bool] = ..., roles: _Optional[_Iterable[_Union[RoleState, _Mapping]]] = ..., models: _Optional[_Iterable[str]] = ..., policies: _Optional[_Iterable[str]] = ..., workloads: _Optional[_Iterable[str]] = ..., default_model: _Optional[str] = ..., resolved_yaml: _Optional[str] = ...) -> None: ...

class ChangeMachineRequest(_message.Message):
    __slots__ = ("resolved_yaml",)
    RESOLVED_YAML_FIELD_NUMBER: _ClassVar[int]
    resolved_yaml: str
    def __init__(self, resolved_yaml: _Optional[str] = ...) -> None: ...

class ChangeMachineResponse(_message.Message):
    __slots__ = ("name", "digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class RoleState(_message.Message):
    __slots__ = ("role", "kind", "needed", "present")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    role: str
    kind: str
    needed: int
    present: int
    def __init__(self, role: _Optional[str] = ..., kind: _Optional[str] = ..., needed: _Optional[int] = ..., present: _Optional[int] = ...) -> None: ...

class ListDevicesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDevicesResponse(_message.Message):
    __slots__ = ("devices", "next_page_token")
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceState]
    next_page_token: str
    def __init__(self, devices: _Optional[_Iterable[_Union[DeviceState, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeviceState(_message.Message):
    __slots__ = ("device_id", "role", "kind", "level", "address", "state", "version", "protocol_version", "capacity_bytes", "slot", "reason")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    role: str
    kind: str
    level: str
    address: str
    state: str
    version: str
    protocol_version: int
    capacity_bytes: int
    slot: str
    reason: str
    def __init__(self, device_id: _Optional[str] = ..., role: _Optional[str] = ..., kind: _Optional[str] = ..., level: _Optional[str] = ..., address: _Optional[str] = ..., state: _Optional[str] = ..., version: _Optional[str] = ..., protocol_version: _Optional[int] = ..., capacity_bytes: _Optional[int] = ..., slot: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

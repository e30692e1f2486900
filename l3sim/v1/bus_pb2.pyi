from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Presence(_message.Message):
    __slots__ = ("seq", "device_id", "role", "kind", "address", "version", "protocol_version", "state", "capacity_bytes", "requested_slot", "level")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_SLOT_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    seq: int
    device_id: str
    role: str
    kind: str
    address: str
    version: str
    protocol_version: int
    state: str
    capacity_bytes: int
    requested_slot: str
    level: str
    def __init__(self, seq: _Optional[int] = ..., device_id: _Optional[str] = ..., role: _Optional[str] = ..., kind: _Optional[str] = ..., address: _Optional[str] = ..., version: _Optional[str] = ..., protocol_version: _Optional[int] = ..., state: _Optional[str] = ..., capacity_bytes: _Optional[int] = ..., requested_slot: _Optional[str] = ..., level: _Optional[str] = ...) -> None: ...

class JobNotice(_message.Message):
    __slots__ = ("seq", "job_id", "state", "virtual_time_ps", "requests_done", "requests_total", "output_tokens_done", "output_tokens_total", "error")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_TIME_PS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_DONE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_DONE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    seq: int
    job_id: str
    state: str
    virtual_time_ps: int
    requests_done: int
    requests_total: int
    output_tokens_done: int
    output_tokens_total: int
    error: str
    def __init__(self, seq: _Optional[int] = ..., job_id: _Optional[str] = ..., state: _Optional[str] = ..., virtual_time_ps: _Optional[int] = ..., requests_done: _Optional[int] = ..., requests_total: _Optional[int] = ..., output_tokens_done: _Optional[int] = ..., output_tokens_total: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class ClockNotice(_message.Message):
    __slots__ = ("seq", "job_id", "virtual_time_ps")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_TIME_PS_FIELD_NUMBER: _ClassVar[int]
    seq: int
    job_id: str
    virtual_time_ps: int
    def __init__(self, seq: _Optional[int] = ..., job_id: _Optional[str] = ..., virtual_time_ps: _Optional[int] = ...) -> None: ...

class MetricsNotice(_message.Message):
    __slots__ = ("seq", "job_id", "windows", "iterations", "wall_s", "throughput_tokens_per_s")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    WALL_S_FIELD_NUMBER: _ClassVar[int]
    THROUGHPUT_TOKENS_PER_S_FIELD_NUMBER: _ClassVar[int]
    seq: int
    job_id: str
    windows: int
    iterations: int
    wall_s: float
    throughput_tokens_per_s: float
    def __init__(self, seq: _Optional[int] = ..., job_id: _Optional[str] = ..., windows: _Optional[int] = ..., iterations: _Optional[int] = ..., wall_s: _Optional[float] = ..., throughput_tokens_per_s: _Optional[float] = ...) -> None: ...

class SpanBatch(_message.Message):
    __slots__ = ("seq", "job_id", "spans")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    seq: int
    job_id: str
    spans: _containers.RepeatedCompositeFieldContainer[Span]
    def __init__(self, seq: _Optional[int] = ..., job_id: _Optional[str] = ..., spans: _Optional[_Iterable[_Union[Span, _Mapping]]] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("replica", "round", "sub_batch", "layer", "task", "rankset", "start_ps", "end_ps")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    SUB_BATCH_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    RANKSET_FIELD_NUMBER: _ClassVar[int]
    START_PS_FIELD_NUMBER: _ClassVar[int]
    END_PS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    round: int
    sub_batch: int
    layer: int
    task: str
    rankset: int
    start_ps: int
    end_ps: int
    def __init__(self, replica: _Optional[int] = ..., round: _Optional[int] = ..., sub_batch: _Optional[int] = ..., layer: _Optional[int] = ..., task: _Optional[str] = ..., rankset: _Optional[int] = ..., start_ps: _Optional[int] = ..., end_ps: _Optional[int] = ...) -> None: ...

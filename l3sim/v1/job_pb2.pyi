from l3sim.v1 import device_pb2 as _device_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_SUCCEEDED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_SUCCEEDED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState

class JobSpec(_message.Message):
    __slots__ = ("machine", "model_name", "model_shape", "policy", "workload", "seed", "tp", "dp", "max_window", "settings", "spans_rounds", "slo", "oracle_lengths", "regret_plans")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHAPE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    TP_FIELD_NUMBER: _ClassVar[int]
    DP_FIELD_NUMBER: _ClassVar[int]
    MAX_WINDOW_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    SPANS_ROUNDS_FIELD_NUMBER: _ClassVar[int]
    SLO_FIELD_NUMBER: _ClassVar[int]
    ORACLE_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    REGRET_PLANS_FIELD_NUMBER: _ClassVar[int]
    machine: str
    model_name: str
    model_shape: _device_pb2.ModelShape
    policy: str
    workload: Workload
    seed: int
    tp: int
    dp: int
    max_window: int
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    spans_rounds: int
    slo: _containers.RepeatedCompositeFieldContainer[Slo]
    oracle_lengths: bool
    regret_plans: int
    def __init__(self, machine: _Optional[str] = ..., model_name: _Optional[str] = ..., model_shape: _Optional[_Union[_device_pb2.ModelShape, _Mapping]] = ..., policy: _Optional[str] = ..., workload: _Optional[_Union[Workload, _Mapping]] = ..., seed: _Optional[int] = ..., tp: _Optional[int] = ..., dp: _Optional[int] = ..., max_window: _Optional[int] = ..., settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., spans_rounds: _Optional[int] = ..., slo: _Optional[_Iterable[_Union[Slo, _Mapping]]] = ..., oracle_lengths: _Optional[bool] = ..., regret_plans: _Optional[int] = ...) -> None: ...

class Slo(_message.Message):
    __slots__ = ("metric", "at_most_s")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_S_FIELD_NUMBER: _ClassVar[int]
    metric: str
    at_most_s: float
    def __init__(self, metric: _Optional[str] = ..., at_most_s: _Optional[float] = ...) -> None: ...

class Setting(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Workload(_message.Message):
    __slots__ = ("name", "generated", "listed", "rate", "concurrency", "speed", "cv", "think_s", "priorities", "max_output_tokens", "warmup_s", "cooldown_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GENERATED_FIELD_NUMBER: _ClassVar[int]
    LISTED_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    CV_FIELD_NUMBER: _ClassVar[int]
    THINK_S_FIELD_NUMBER: _ClassVar[int]
    PRIORITIES_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    WARMUP_S_FIELD_NUMBER: _ClassVar[int]
    COOLDOWN_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    generated: GeneratedRequests
    listed: ListedRequests
    rate: float
    concurrency: int
    speed: float
    cv: float
    think_s: float
    priorities: _containers.RepeatedCompositeFieldContainer[PriorityShare]
    max_output_tokens: int
    warmup_s: float
    cooldown_s: float
    def __init__(self, name: _Optional[str] = ..., generated: _Optional[_Union[GeneratedRequests, _Mapping]] = ..., listed: _Optional[_Union[ListedRequests, _Mapping]] = ..., rate: _Optional[float] = ..., concurrency: _Optional[int] = ..., speed: _Optional[float] = ..., cv: _Optional[float] = ..., think_s: _Optional[float] = ..., priorities: _Optional[_Iterable[_Union[PriorityShare, _Mapping]]] = ..., max_output_tokens: _Optional[int] = ..., warmup_s: _Optional[float] = ..., cooldown_s: _Optional[float] = ...) -> None: ...

class PriorityShare(_message.Message):
    __slots__ = ("priority", "share")
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    priority: int
    share: float
    def __init__(self, priority: _Optional[int] = ..., share: _Optional[float] = ...) -> None: ...

class GeneratedRequests(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: int
    def __init__(self, requests: _Optional[int] = ...) -> None: ...

class ListedRequests(_message.Message):
    __slots__ = ("prompt_tokens", "output_tokens", "arrival_ps", "line", "priority", "max_output_tokens", "prefix", "prefix_tokens")
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ARRIVAL_PS_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PREFIX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: _containers.RepeatedScalarFieldContainer[int]
    output_tokens: _containers.RepeatedScalarFieldContainer[int]
    arrival_ps: _containers.RepeatedScalarFieldContainer[int]
    line: _containers.RepeatedScalarFieldContainer[int]
    priority: _containers.RepeatedScalarFieldContainer[int]
    max_output_tokens: _containers.RepeatedScalarFieldContainer[int]
    prefix: _containers.RepeatedScalarFieldContainer[int]
    prefix_tokens: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, prompt_tokens: _Optional[_Iterable[int]] = ..., output_tokens: _Optional[_Iterable[int]] = ..., arrival_ps: _Optional[_Iterable[int]] = ..., line: _Optional[_Iterable[int]] = ..., priority: _Optional[_Iterable[int]] = ..., max_output_tokens: _Optional[_Iterable[int]] = ..., prefix: _Optional[_Iterable[int]] = ..., prefix_tokens: _Optional[_Iterable[int]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("job_id", "state", "digest", "model", "policy", "workload", "submitted_at", "ended_at", "attempts", "progress", "error")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    state: JobState
    digest: str
    model: str
    policy: str
    workload: str
    submitted_at: str
    ended_at: str
    attempts: int
    progress: JobProgress
    error: JobError
    def __init__(self, job_id: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., digest: _Optional[str] = ..., model: _Optional[str] = ..., policy: _Optional[str] = ..., workload: _Optional[str] = ..., submitted_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., attempts: _Optional[int] = ..., progress: _Optional[_Union[JobProgress, _Mapping]] = ..., error: _Optional[_Union[JobError, _Mapping]] = ...) -> None: ...

class JobProgress(_message.Message):
    __slots__ = ("sequence", "virtual_time_ps", "requests_done", "requests_total", "output_tokens_done", "output_tokens_total", "wall_s")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_TIME_PS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_DONE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_DONE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    WALL_S_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    virtual_time_ps: int
    requests_done: int
    requests_total: int
    output_tokens_done: int
    output_tokens_total: int
    wall_s: float
    def __init__(self, sequence: _Optional[int] = ..., virtual_time_ps: _Optional[int] = ..., requests_done: _Optional[int] = ..., requests_total: _Optional[int] = ..., output_tokens_done: _Optional[int] = ..., output_tokens_total: _Optional[int] = ..., wall_s: _Optional[float] = ...) -> None: ...

class JobError(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class SubmitJobRequest(_message.Message):
    __slots__ = ("request_id", "spec")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    spec: JobSpec
    def __init__(self, request_id: _Optional[str] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ...) -> None: ...

class SubmitJobResponse(_message.Message):
    __slots__ = ("job", "warnings")
    JOB_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    job: Job
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("job_id", "after_sequence")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    after_sequence: int
    def __init__(self, job_id: _Optional[str] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class GetReportRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetReportResponse(_message.Message):
    __slots__ = ("report_json",)
    REPORT_JSON_FIELD_NUMBER: _ClassVar[int]
    report_json: str
    def __init__(self, report_json: _Optional[str] = ...) -> None: ...

class GetArtifactRequest(_message.Message):
    __slots__ = ("job_id", "name")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    name: str
    def __init__(self, job_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class GetArtifactResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DecodePlacement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECODE_PLACEMENT_UNSPECIFIED: _ClassVar[DecodePlacement]
    DECODE_PLACEMENT_ATTENTION: _ClassVar[DecodePlacement]
    DECODE_PLACEMENT_GPU: _ClassVar[DecodePlacement]
    DECODE_PLACEMENT_BOTH: _ClassVar[DecodePlacement]
DECODE_PLACEMENT_UNSPECIFIED: DecodePlacement
DECODE_PLACEMENT_ATTENTION: DecodePlacement
DECODE_PLACEMENT_GPU: DecodePlacement
DECODE_PLACEMENT_BOTH: DecodePlacement

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("protocol_version", "devices")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    devices: _containers.RepeatedCompositeFieldContainer[DeviceDescription]
    def __init__(self, protocol_version: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[DeviceDescription, _Mapping]]] = ...) -> None: ...

class DeviceDescription(_message.Message):
    __slots__ = ("device_id", "role", "kind", "version", "operations", "domains", "regions", "lookahead_rounds", "levels", "config_schema_json", "requested_slot", "overrides_json", "partitions")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    LOOKAHEAD_ROUNDS_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_SLOT_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_JSON_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    role: str
    kind: str
    version: str
    operations: _containers.RepeatedScalarFieldContainer[str]
    domains: _containers.RepeatedScalarFieldContainer[str]
    regions: _containers.RepeatedCompositeFieldContainer[MemoryRegion]
    lookahead_rounds: int
    levels: _containers.RepeatedScalarFieldContainer[str]
    config_schema_json: str
    requested_slot: str
    overrides_json: str
    partitions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, device_id: _Optional[str] = ..., role: _Optional[str] = ..., kind: _Optional[str] = ..., version: _Optional[str] = ..., operations: _Optional[_Iterable[str]] = ..., domains: _Optional[_Iterable[str]] = ..., regions: _Optional[_Iterable[_Union[MemoryRegion, _Mapping]]] = ..., lookahead_rounds: _Optional[int] = ..., levels: _Optional[_Iterable[str]] = ..., config_schema_json: _Optional[str] = ..., requested_slot: _Optional[str] = ..., overrides_json: _Optional[str] = ..., partitions: _Optional[_Iterable[str]] = ...) -> None: ...

class MemoryRegion(_message.Message):
    __slots__ = ("name", "capacity_bytes", "granule_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GRANULE_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    capacity_bytes: int
    granule_bytes: int
    def __init__(self, name: _Optional[str] = ..., capacity_bytes: _Optional[int] = ..., granule_bytes: _Optional[int] = ...) -> None: ...

class SessionRequest(_message.Message):
    __slots__ = ("hello", "window", "estimate", "audit", "close", "functional")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONAL_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    window: Window
    estimate: Estimate
    audit: Audit
    close: Close
    functional: Functional
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., window: _Optional[_Union[Window, _Mapping]] = ..., estimate: _Optional[_Union[Estimate, _Mapping]] = ..., audit: _Optional[_Union[Audit, _Mapping]] = ..., close: _Optional[_Union[Close, _Mapping]] = ..., functional: _Optional[_Union[Functional, _Mapping]] = ...) -> None: ...

class SessionResponse(_message.Message):
    __slots__ = ("ready", "costs", "estimates", "accounts", "closed", "functional")
    READY_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATES_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONAL_FIELD_NUMBER: _ClassVar[int]
    ready: Ready
    costs: Costs
    estimates: Estimates
    accounts: Accounts
    closed: Closed
    functional: FunctionalAnswer
    def __init__(self, ready: _Optional[_Union[Ready, _Mapping]] = ..., costs: _Optional[_Union[Costs, _Mapping]] = ..., estimates: _Optional[_Union[Estimates, _Mapping]] = ..., accounts: _Optional[_Union[Accounts, _Mapping]] = ..., closed: _Optional[_Union[Closed, _Mapping]] = ..., functional: _Optional[_Union[FunctionalAnswer, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_version", "job_id", "seed", "model", "layout", "slots")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    job_id: str
    seed: int
    model: ModelShape
    layout: Layout
    slots: _containers.RepeatedCompositeFieldContainer[SlotAssignment]
    def __init__(self, protocol_version: _Optional[int] = ..., job_id: _Optional[str] = ..., seed: _Optional[int] = ..., model: _Optional[_Union[ModelShape, _Mapping]] = ..., layout: _Optional[_Union[Layout, _Mapping]] = ..., slots: _Optional[_Iterable[_Union[SlotAssignment, _Mapping]]] = ...) -> None: ...

class ModelShape(_message.Message):
    __slots__ = ("name", "layers", "heads", "kv_heads", "head_size", "hidden", "ffn", "gated", "vocabulary", "tied_embeddings", "learned_positions", "biases", "default_tp", "source", "experts", "experts_per_token", "qkv_biases", "norm_biases", "parallel_attention", "shared_norm", "post_norms", "qk_norm", "sliding_window", "max_positions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    KV_HEADS_FIELD_NUMBER: _ClassVar[int]
    HEAD_SIZE_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    FFN_FIELD_NUMBER: _ClassVar[int]
    GATED_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    TIED_EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    LEARNED_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    BIASES_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TP_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    EXPERTS_FIELD_NUMBER: _ClassVar[int]
    EXPERTS_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    QKV_BIASES_FIELD_NUMBER: _ClassVar[int]
    NORM_BIASES_FIELD_NUMBER: _ClassVar[int]
    PARALLEL_ATTENTION_FIELD_NUMBER: _ClassVar[int]
    SHARED_NORM_FIELD_NUMBER: _ClassVar[int]
    POST_NORMS_FIELD_NUMBER: _ClassVar[int]
    QK_NORM_FIELD_NUMBER: _ClassVar[int]
    SLIDING_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    ffn: int
    gated: bool
    vocabulary: int
    tied_embeddings: bool
    learned_positions: int
    biases: bool
    default_tp: int
    source: str
    experts: int
    experts_per_token: int
    qkv_biases: bool
    norm_biases: bool
    parallel_attention: bool
    shared_norm: bool
    post_norms: bool
    qk_norm: bool
    sliding_window: int
    max_positions: int
    def __init__(self, name: _Optional[str] = ..., layers: _Optional[int] = ..., heads: _Optional[int] = ..., kv_heads: _Optional[int] = ..., head_size: _Optional[int] = ..., hidden: _Optional[int] = ..., ffn: _Optional[int] = ..., gated: _Optional[bool] = ..., vocabulary: _Optional[int] = ..., tied_embeddings: _Optional[bool] = ..., learned_positions: _Optional[int] = ..., biases: _Optional[bool] = ..., default_tp: _Optional[int] = ..., source: _Optional[str] = ..., experts: _Optional[int] = ..., experts_per_token: _Optional[int] = ..., qkv_biases: _Optional[bool] = ..., norm_biases: _Optional[bool] = ..., parallel_attention: _Optional[bool] = ..., shared_norm: _Optional[bool] = ..., post_norms: _Optional[bool] = ..., qk_norm: _Optional[bool] = ..., sliding_window: _Optional[int] = ..., max_positions: _Optional[int] = ...) -> None: ...

class Layout(_message.Message):
    __slots__ = ("tp", "dp", "ranksets", "ranks", "heads_per_group", "groups", "chips_per_head", "queries_per_read", "kv_block_tokens", "kv_row_bytes", "decode", "stripe_tokens")
    TP_FIELD_NUMBER: _ClassVar[int]
    DP_FIELD_NUMBER: _ClassVar[int]
    RANKSETS_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    HEADS_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    CHIPS_PER_HEAD_FIELD_NUMBER: _ClassVar[int]
    QUERIES_PER_READ_FIELD_NUMBER: _ClassVar[int]
    KV_BLOCK_TOKENS_FIELD_NUMBER: _ClassVar[int]
    KV_ROW_BYTES_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    STRIPE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    tp: int
    dp: int
    ranksets: int
    ranks: int
    heads_per_group: int
    groups: int
    chips_per_head: int
    queries_per_read: int
    kv_block_tokens: int
    kv_row_bytes: int
    decode: DecodePlacement
    stripe_tokens: int
    def __init__(self, tp: _Optional[int] = ..., dp: _Optional[int] = ..., ranksets: _Optional[int] = ..., ranks: _Optional[int] = ..., heads_per_group: _Optional[int] = ..., groups: _Optional[int] = ..., chips_per_head: _Optional[int] = ..., queries_per_read: _Optional[int] = ..., kv_block_tokens: _Optional[int] = ..., kv_row_bytes: _Optional[int] = ..., decode: _Optional[_Union[DecodePlacement, str]] = ..., stripe_tokens: _Optional[int] = ...) -> None: ...

class SlotAssignment(_message.Message):
    __slots__ = ("device_id", "slot", "config_json", "assignments")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    slot: str
    config_json: str
    assignments: _containers.RepeatedCompositeFieldContainer[RankAssignment]
    def __init__(self, device_id: _Optional[str] = ..., slot: _Optional[str] = ..., config_json: _Optional[str] = ..., assignments: _Optional[_Iterable[_Union[RankAssignment, _Mapping]]] = ...) -> None: ...

class RankAssignment(_message.Message):
    __slots__ = ("replica", "rankset", "rank", "unused")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    RANKSET_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    UNUSED_FIELD_NUMBER: _ClassVar[int]
    replica: int
    rankset: int
    rank: int
    unused: bool
    def __init__(self, replica: _Optional[int] = ..., rankset: _Optional[int] = ..., rank: _Optional[int] = ..., unused: _Optional[bool] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceReady]
    def __init__(self, devices: _Optional[_Iterable[_Union[DeviceReady, _Mapping]]] = ...) -> None: ...

class DeviceReady(_message.Message):
    __slots__ = ("slot", "level", "lookahead_rounds", "domains", "regions", "config_json", "idle_mw")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LOOKAHEAD_ROUNDS_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    IDLE_MW_FIELD_NUMBER: _ClassVar[int]
    slot: str
    level: str
    lookahead_rounds: int
    domains: _containers.RepeatedScalarFieldContainer[str]
    regions: _containers.RepeatedCompositeFieldContainer[MemoryRegion]
    config_json: str
    idle_mw: int
    def __init__(self, slot: _Optional[str] = ..., level: _Optional[str] = ..., lookahead_rounds: _Optional[int] = ..., domains: _Optional[_Iterable[str]] = ..., regions: _Optional[_Iterable[_Union[MemoryRegion, _Mapping]]] = ..., config_json: _Optional[str] = ..., idle_mw: _Optional[int] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("window_id", "replica", "rounds", "sub_batches", "places", "releases", "commits")
    WINDOW_ID_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    SUB_BATCHES_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    window_id: int
    replica: int
    rounds: int
    sub_batches: _containers.RepeatedCompositeFieldContainer[SubBatch]
    places: _containers.RepeatedCompositeFieldContainer[Placement]
    releases: _containers.RepeatedScalarFieldContainer[int]
    commits: _containers.RepeatedCompositeFieldContainer[Commit]
    def __init__(self, window_id: _Optional[int] = ..., replica: _Optional[int] = ..., rounds: _Optional[int] = ..., sub_batches: _Optional[_Iterable[_Union[SubBatch, _Mapping]]] = ..., places: _Optional[_Iterable[_Union[Placement, _Mapping]]] = ..., releases: _Optional[_Iterable[int]] = ..., commits: _Optional[_Iterable[_Union[Commit, _Mapping]]] = ...) -> None: ...

class SubBatch(_message.Message):
    __slots__ = ("index", "decode_request", "context_tokens", "chunks")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DECODE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    index: int
    decode_request: _containers.RepeatedScalarFieldContainer[int]
    context_tokens: _containers.RepeatedScalarFieldContainer[int]
    chunks: _containers.RepeatedCompositeFieldContainer[Chunk]
    def __init__(self, index: _Optional[int] = ..., decode_request: _Optional[_Iterable[int]] = ..., context_tokens: _Optional[_Iterable[int]] = ..., chunks: _Optional[_Iterable[_Union[Chunk, _Mapping]]] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("request", "tokens", "finished_tokens", "last")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    request: int
    tokens: int
    finished_tokens: int
    last: bool
    def __init__(self, request: _Optional[int] = ..., tokens: _Optional[int] = ..., finished_tokens: _Optional[int] = ..., last: _Optional[bool] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("request", "offset", "rank", "prefix", "prefix_blocks", "held")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PREFIX_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    request: int
    offset: int
    rank: int
    prefix: int
    prefix_blocks: int
    held: int
    def __init__(self, request: _Optional[int] = ..., offset: _Optional[int] = ..., rank: _Optional[int] = ..., prefix: _Optional[int] = ..., prefix_blocks: _Optional[int] = ..., held: _Optional[int] = ...) -> None: ...

class Commit(_message.Message):
    __slots__ = ("window_id", "rounds")
    WINDOW_ID_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    window_id: int
    rounds: int
    def __init__(self, window_id: _Optional[int] = ..., rounds: _Optional[int] = ...) -> None: ...

class Costs(_message.Message):
    __slots__ = ("window_id", "valid_rounds", "costs", "held_bytes")
    WINDOW_ID_FIELD_NUMBER: _ClassVar[int]
    VALID_ROUNDS_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    HELD_BYTES_FIELD_NUMBER: _ClassVar[int]
    window_id: int
    valid_rounds: int
    costs: _containers.RepeatedCompositeFieldContainer[OpCost]
    held_bytes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, window_id: _Optional[int] = ..., valid_rounds: _Optional[int] = ..., costs: _Optional[_Iterable[_Union[OpCost, _Mapping]]] = ..., held_bytes: _Optional[_Iterable[int]] = ...) -> None: ...

class OpCost(_message.Message):
    __slots__ = ("op", "sub_batch", "device", "domain", "layer_classes", "rounds", "duration_ps", "energy_nj")
    OP_FIELD_NUMBER: _ClassVar[int]
    SUB_BATCH_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    LAYER_CLASSES_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    DURATION_PS_FIELD_NUMBER: _ClassVar[int]
    ENERGY_NJ_FIELD_NUMBER: _ClassVar[int]
    op: str
    sub_batch: int
    device: _containers.RepeatedScalarFieldContainer[int]
    domain: _containers.RepeatedScalarFieldContainer[int]
    layer_classes: int
    rounds: int
    duration_ps: bytes
    energy_nj: bytes
    def __init__(self, op: _Optional[str] = ..., sub_batch: _Optional[int] = ..., device: _Optional[_Iterable[int]] = ..., domain: _Optional[_Iterable[int]] = ..., layer_classes: _Optional[int] = ..., rounds: _Optional[int] = ..., duration_ps: _Optional[bytes] = ..., energy_nj: _Optional[bytes] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("windows",)
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    windows: _containers.RepeatedCompositeFieldContainer[Window]
    def __init__(self, windows: _Optional[_Iterable[_Union[Window, _Mapping]]] = ...) -> None: ...

class Estimates(_message.Message):
    __slots__ = ("costs",)
    COSTS_FIELD_NUMBER: _ClassVar[int]
    costs: _containers.RepeatedCompositeFieldContainer[Costs]
    def __init__(self, costs: _Optional[_Iterable[_Union[Costs, _Mapping]]] = ...) -> None: ...

class Audit(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Accounts(_message.Message):
    __slots__ = ("accounts",)
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[Account]
    def __init__(self, accounts: _Optional[_Iterable[_Union[Account, _Mapping]]] = ...) -> None: ...

class Account(_message.Message):
    __slots__ = ("slot", "windows", "rounds", "held_bytes", "requests", "counters", "fidelity")
    class CountersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SLOT_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    HELD_BYTES_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    FIDELITY_FIELD_NUMBER: _ClassVar[int]
    slot: str
    windows: int
    rounds: int
    held_bytes: _containers.RepeatedScalarFieldContainer[int]
    requests: int
    counters: _containers.ScalarMap[str, int]
    fidelity: Fidelity
    def __init__(self, slot: _Optional[str] = ..., windows: _Optional[int] = ..., rounds: _Optional[int] = ..., held_bytes: _Optional[_Iterable[int]] = ..., requests: _Optional[int] = ..., counters: _Optional[_Mapping[str, int]] = ..., fidelity: _Optional[_Union[Fidelity, _Mapping]] = ...) -> None: ...

class Fidelity(_message.Message):
    __slots__ = ("windows", "calls", "gap_ps", "gap_ppm")
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    GAP_PS_FIELD_NUMBER: _ClassVar[int]
    GAP_PPM_FIELD_NUMBER: _ClassVar[int]
    windows: int
    calls: int
    gap_ps: int
    gap_ppm: int
    def __init__(self, windows: _Optional[int] = ..., calls: _Optional[int] = ..., gap_ps: _Optional[int] = ..., gap_ppm: _Optional[int] = ...) -> None: ...

class Close(_message.Message):
    __slots__ = ("commits",)
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    commits: _containers.RepeatedCompositeFieldContainer[Commit]
    def __init__(self, commits: _Optional[_Iterable[_Union[Commit, _Mapping]]] = ...) -> None: ...

class Closed(_message.Message):
    __slots__ = ("accounts",)
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[Account]
    def __init__(self, accounts: _Optional[_Iterable[_Union[Account, _Mapping]]] = ...) -> None: ...

class Functional(_message.Message):
    __slots__ = ("offload", "attend", "read_back")
    OFFLOAD_FIELD_NUMBER: _ClassVar[int]
    ATTEND_FIELD_NUMBER: _ClassVar[int]
    READ_BACK_FIELD_NUMBER: _ClassVar[int]
    offload: Offload
    attend: Attend
    read_back: ReadBack
    def __init__(self, offload: _Optional[_Union[Offload, _Mapping]] = ..., attend: _Optional[_Union[Attend, _Mapping]] = ..., read_back: _Optional[_Union[ReadBack, _Mapping]] = ...) -> None: ...

class FunctionalAnswer(_message.Message):
    __slots__ = ("offloaded", "attended", "returned")
    OFFLOADED_FIELD_NUMBER: _ClassVar[int]
    ATTENDED_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    offloaded: Offloaded
    attended: Attended
    returned: Returned
    def __init__(self, offloaded: _Optional[_Union[Offloaded, _Mapping]] = ..., attended: _Optional[_Union[Attended, _Mapping]] = ..., returned: _Optional[_Union[Returned, _Mapping]] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("name", "shape", "dtype", "data")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    data: bytes
    def __init__(self, name: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class Offload(_message.Message):
    __slots__ = ("request", "layer", "first", "k", "v")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    V_FIELD_NUMBER: _ClassVar[int]
    request: int
    layer: int
    first: int
    k: Tensor
    v: Tensor
    def __init__(self, request: _Optional[int] = ..., layer: _Optional[int] = ..., first: _Optional[int] = ..., k: _Optional[_Union[Tensor, _Mapping]] = ..., v: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class Offloaded(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: int
    def __init__(self, tokens: _Optional[int] = ...) -> None: ...

class Attend(_message.Message):
    __slots__ = ("layer", "requests", "q", "k", "v")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    Q_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    V_FIELD_NUMBER: _ClassVar[int]
    layer: int
    requests: _containers.RepeatedScalarFieldContainer[int]
    q: Tensor
    k: Tensor
    v: Tensor
    def __init__(self, layer: _Optional[int] = ..., requests: _Optional[_Iterable[int]] = ..., q: _Optional[_Union[Tensor, _Mapping]] = ..., k: _Optional[_Union[Tensor, _Mapping]] = ..., v: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class Attended(_message.Message):
    __slots__ = ("device", "domain", "duration_ps", "outputs", "present", "partials")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    DURATION_PS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    PARTIALS_FIELD_NUMBER: _ClassVar[int]
    device: _containers.RepeatedScalarFieldContainer[int]
    domain: _containers.RepeatedScalarFieldContainer[int]
    duration_ps: _containers.RepeatedScalarFieldContainer[int]
    outputs: Tensor
    present: Tensor
    partials: Partials
    def __init__(self, device: _Optional[_Iterable[int]] = ..., domain: _Optional[_Iterable[int]] = ..., duration_ps: _Optional[_Iterable[int]] = ..., outputs: _Optional[_Union[Tensor, _Mapping]] = ..., present: _Optional[_Union[Tensor, _Mapping]] = ..., partials: _Optional[_Union[Partials, _Mapping]] = ...) -> None: ...

class Partials(_message.Message):
    __slots__ = ("request", "head", "step", "ranks", "top", "total", "output")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    request: _containers.RepeatedScalarFieldContainer[int]
    head: _containers.RepeatedScalarFieldContainer[int]
    step: _containers.RepeatedScalarFieldContainer[int]
    ranks: _containers.RepeatedScalarFieldContainer[int]
    top: Tensor
    total: Tensor
    output: Tensor
    def __init__(self, request: _Optional[_Iterable[int]] = ..., head: _Optional[_Iterable[int]] = ..., step: _Optional[_Iterable[int]] = ..., ranks: _Optional[_Iterable[int]] = ..., top: _Optional[_Union[Tensor, _Mapping]] = ..., total: _Optional[_Union[Tensor, _Mapping]] = ..., output: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class ReadBack(_message.Message):
    __slots__ = ("request", "layer", "first", "tokens")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    request: int
    layer: int
    first: int
    tokens: int
    def __init__(self, request: _Optional[int] = ..., layer: _Optional[int] = ..., first: _Optional[int] = ..., tokens: _Optional[int] = ...) -> None: ...

class Returned(_message.Message):
    __slots__ = ("k", "v", "present")
    K_FIELD_NUMBER: _ClassVar[int]
    V_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    k: Tensor
    v: Tensor
    present: Tensor
    def __init__(self, k: _Optional[_Union[Tensor, _Mapping]] = ..., v: _Optional[_Union[Tensor, _Mapping]] = ..., present: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

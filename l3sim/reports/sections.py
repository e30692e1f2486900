"""Parts of a report, in the order in which they are written; docs/report.md defines every number.

Names end in their unit: `_s` seconds, `_j` joules, `_bytes`, `_per_s`. None where nothing was counted.
"""

import json
from typing import Any

from msgspec import UNSET, Struct, UnsetType


class Moments(Struct, frozen=True):
    """Mean and standard deviation (over n) of tokens."""

    mean: float
    std: float


class Workload(Struct, frozen=True):
    """What was to be served, and how it arrived."""

    name: str
    requests: int
    mode: str
    rate_per_s: float | None
    concurrency: int | None
    speed: float
    cv: float | None
    think_s: float
    urgent: int
    cut_by_limit: int
    oracle_lengths: bool
    prompt_tokens: Moments
    output_tokens: Moments


class Parallel(Struct, frozen=True):
    """GPUs of a replica, and replicas."""

    tp: int
    dp: int


class Requests(Struct, frozen=True):
    """How many requests there were, and what became of them."""

    submitted: int
    completed: int
    failed: int
    preempted: int


class Tokens(Struct, frozen=True):
    """Of all prompts, of completed outputs, and of KV that preemptions dropped."""

    prompt: int
    output: int
    recomputed: int
    moved: int


class Distribution(Struct, frozen=True):
    """Seconds: mean, standard deviation (over n), nearest-rank percentiles, maximum."""

    mean: float | None
    std: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None


class Iteration(Struct, frozen=True):
    """Seconds from join to join."""

    mean: float | None
    p50: float | None
    p99: float | None


class Batch(Struct, frozen=True):
    """Decoding requests of a round."""

    mean_requests: float
    max_requests: int


class Utilization(Struct, frozen=True):
    """Busy time of the domains / (domains x makespan), 0..1."""

    gpu: float
    attention: float
    link_down: float
    link_up: float


class Bubbles(Struct, frozen=True):
    """Share of the replicas' active time in which each is idle, 0..1."""

    gpu: float
    attention: float


class Steady(Struct, frozen=True):
    """The part without ramp and tail, in seconds of virtual time; None where there is none."""

    throughput_tokens_per_s: float | None
    from_s: float | None
    to_s: float | None
    share_of_makespan: float | None


class Rate(Struct, frozen=True):
    """Requests a second that came and that were served; None where not open loop."""

    offered: float | None
    achieved: float | None


class HostTime(Struct, frozen=True):
    """Seconds that each stage of the host took."""

    sample: float
    schedule: float
    launch: float
    output: float


class Energy(Struct, frozen=True):
    """Joules; the rows sum to the total."""

    total: float
    gpu: float
    attention: float
    link: float
    host: float
    idle: float


class Prefix(Struct, frozen=True):
    """Tokens of prefixes that were asked for, and those that were there already."""

    asked_tokens: int
    hit_tokens: int
    hit_rate: float | None
    saved_peak_bytes: int


class Kv(Struct, frozen=True):
    """KV memory: room, most held, blocks, sharing."""

    capacity_bytes: int
    peak_bytes: int
    block_tokens: int
    block_bytes: int
    fragmentation: float
    prefix: Prefix


class Spread(Struct, frozen=True):
    """Over ranks; the most of one against the mean is None where the mean is 0."""

    mean: float
    max: float
    max_to_mean: float | None


class Rank(Struct, frozen=True):
    """What one rank held (tokens, mean over time), and for how many seconds it attended."""

    replica: int
    rankset: int
    rank: int
    tokens: float
    attention_s: float


class Balance(Struct, frozen=True):
    """How evenly the ranks carried the job."""

    tokens: Spread
    attention_s: Spread
    ranks: list[Rank]


class ByObjective(Struct, frozen=True):
    """A number for each latency that an objective may bound; None where none was given."""

    ttft_s: float | None
    tbt_s: float | None
    tpot_s: float | None
    e2e_s: float | None
    queue_s: float | None


class Slo(Struct, frozen=True):
    """Objectives in seconds, the share of requests that met each, and goodput."""

    at_most_s: ByObjective
    share: ByObjective
    attained: float | None
    goodput_requests_per_s: float | None
    goodput_tokens_per_s: float | None


class ExchangeParts(Struct, frozen=True):
    """Wall seconds of the parts of a run."""

    scheduler: float
    timeline: float
    exchange: float


class Fidelity(Struct, frozen=True):
    """What `--check-fidelity` found; the gap in seconds, and as a share of its call."""

    windows: int
    calls: int
    largest_gap_s: float
    largest_gap: float


class Exchange(Struct, frozen=True):
    """How the simulation itself ran: the only part that differs between runs of one job."""

    wall_s: float
    windows: int
    messages: int
    simulated_iterations_per_wall_s: float
    transport: str
    parts_wall_s: ExchangeParts
    fidelity: Fidelity | UnsetType = UNSET


class Device(Struct, frozen=True):
    """Who filled a slot.

    Attributes:
        version: of the implementation.
        fidelity: level that it ran at.
        overrides: JSON of what it was started with.
        digest: of the device as it answered: kind, version, level, configuration, memory, idle power.
    """

    slot: str
    role: str
    kind: str
    version: str
    fidelity: str
    overrides: str
    digest: str

    def started_with(self) -> dict[str, Any]:
        """Its overrides, by key; of a stranger's whose text is no JSON object, that text under ""."""
        try:
            found = json.loads(self.overrides or "{}")
        except ValueError:
            return {"": self.overrides}
        return found if isinstance(found, dict) else {"": found}


class Provenance(Struct, frozen=True):
    """What the numbers rest on.

    Attributes:
        submitted_digest: of the job before devices had answered, as lists of jobs show it.
    """

    version: str
    protocol_version: int
    submitted_digest: str
    machine_digest: str
    model_digest: str
    devices: list[Device]

"""What the slow engine knows of a job: rules, requests, counts."""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise


@dataclass(frozen=True)
class SlowRules:
    """What holds for a job, in plain numbers."""

    policy: str
    room_bytes: int  # of every rank
    gpu_room_bytes: int
    watermark: Fraction
    min_chunk: int
    max_chunk: int
    sample_ps: int
    schedule_ps: int
    schedule_request_ps: int
    launch_ps: int
    output_ps: int
    output_request_ps: int
    overlap: bool
    half_duplex: bool
    reserve: int
    sharing: str
    aging_ps: int
    think_ps: int
    lengths_known: bool

    def before(self, requests: int, passes: int, idle: bool) -> dict[str, int]:
        """Host stages before a round."""
        return {
            "sample": 0 if idle else self.sample_ps,
            "schedule": self.schedule_ps + requests * self.schedule_request_ps,
            "launch": passes * self.launch_ps,
        }

    def output(self, made: int) -> int:
        """Handing out the tokens of a pass."""
        return self.output_ps + made * self.output_request_ps


@dataclass(eq=False)
class Life:
    """One request."""

    number: int
    prompt: int
    output: int
    arrival_ps: int
    priority: int = 0
    target: int = 0
    held: int = 0
    emitted: int = 0
    place: tuple[int, int] | None = None
    batches: set[str] = field(default_factory=set)
    stamps: list[int] = field(default_factory=list)
    first_round_ps: int = -1
    preemptions: int = 0
    recomputed: int = 0
    prefix: int = 0
    prefix_tokens: int = 0

    @property
    def at(self) -> tuple[int, int]:
        """Its place, while it has one."""
        assert self.place is not None
        return self.place

    @property
    def longest_gap_ps(self) -> int:
        """Between two of its tokens."""
        return max((after - before for before, after in pairwise(self.stamps)), default=0)

    @property
    def decoding(self) -> bool:
        """Whether all it must prefill is in KV (true only of residents)."""
        return self.held >= self.target


@dataclass
class Counts:
    """What a run adds up."""

    iterations: list[int] = field(default_factory=list)
    #: Of each round: the join before it, its own, who decodes, tokens made, whether anything waits or comes.
    history: list[tuple[int, int, int, int, bool]] = field(default_factory=list)
    active_ps: int = 0
    batch_time: int = 0
    max_batch: int = 0
    busy: dict[str, int] = field(default_factory=dict)
    energy: dict[str, int] = field(default_factory=dict)
    host: dict[str, int] = field(default_factory=dict)
    peak_bytes: int = 0
    end_ps: int = 0
    #: Over the joins: blocks x time, and tokens x time by placement.
    block_time: int = 0
    token_time: dict[tuple[int, int], int] = field(default_factory=dict)
    #: Prefix blocks of the admitted; those that were there; the most bytes that sharing spared.
    asked_blocks: int = 0
    hit_blocks: int = 0
    saved_bytes: int = 0

    def add_host(self, spent: dict[str, int]) -> None:
        for stage, time in spent.items():
            self.host[stage] = self.host.get(stage, 0) + time

"""Who watches a job from outside: what the engine tells while it runs. Nothing waits for the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come.

    Attributes:
        virtual_time_ps: the slowest replica's clock.
        output_tokens_total: of all requests, known because lengths are.
        windows, iterations: exchanged and simulated so far, over all replicas.
        wall_s: since this attempt began.
    """

    virtual_time_ps: int = 0
    requests_done: int = 0
    requests_total: int = 0
    output_tokens_done: int = 0
    output_tokens_total: int = 0
    windows: int = 0
    iterations: int = 0
    wall_s: float = 0.0


class Span(NamedTuple):
    """One task of the timeline, as bus.proto's Span; times in picoseconds of virtual time."""

    replica: int
    round: int
    sub_batch: int
    layer: int
    task: str  # B, P, D, A, U or K
    rankset: int  # -1: holds no single rankset
    start_ps: int
    end_ps: int


class Observer(Protocol):
    """Told by the engine; must be quick and must not raise."""

    def progress(self, progress: Progress) -> None:
        """Called at most every 0.2 s of wall time, and once at the end."""

    def spans(self, slot: str, spans: Sequence[Span]) -> None:
        """Called for the rounds whose tasks are kept; `slot` did these tasks ("gpu", "link", "dimm-07")."""

"""Bounds and host stages of a replica."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and host stages of a replica.

    Attributes:
        max_window: most rounds in a window.
        lookahead: most rounds that every device foresees.
        schedule_ps: host time between a join and the next round.
        output_ps: host time between the end of a pass and its tokens' stamps.
        aging_ps: waiting for so long counts like one level of priority.
    """

    max_window: int
    lookahead: int
    schedule_ps: int
    output_ps: int
    aging_ps: int

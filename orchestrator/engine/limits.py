"""Bounds and host stages of a replica."""

from dataclasses import dataclass

from l3sim.orchestrator.engine.host_stages import HostStages


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and host stages of a replica.

    Attributes:
        max_window: most rounds in a window.
        lookahead: most rounds that every device foresees.
        host: its stages of a round.
        aging_ps: waiting for so long counts like one level of priority.
    """

    max_window: int
    lookahead: int
    host: HostStages
    aging_ps: int

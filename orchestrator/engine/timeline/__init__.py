"""The exact timeline: list scheduling of a round's tasks, compiled."""

from l3sim.orchestrator.engine.timeline.attention import AttentionTimeline
from l3sim.orchestrator.engine.timeline.base import (
    SPAN_COLUMNS,
    TASKS,
    TIMELINES,
    Outcome,
    RoundCosts,
    Rules,
    Timeline,
    Waits,
)
from l3sim.orchestrator.engine.timeline.gpu import GpuTimeline

__all__ = [
    "SPAN_COLUMNS",
    "TASKS",
    "TIMELINES",
    "AttentionTimeline",
    "GpuTimeline",
    "Outcome",
    "RoundCosts",
    "Rules",
    "Timeline",
    "Waits",
]

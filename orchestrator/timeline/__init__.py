"""The exact timeline: list scheduling of a round's tasks, compiled."""

from orchestrator.timeline.attention import AttentionTimeline
from orchestrator.timeline.base import (
    SPAN_COLUMNS,
    TASKS,
    TIMELINES,
    Outcome,
    RoundCosts,
    Rules,
    Timeline,
    Waits,
)
from orchestrator.timeline.gpu import GpuTimeline

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

"""The exact timeline: list scheduling of a round's tasks, compiled. Rules: `docs/time.md`.

    base          what goes in and comes out: costs of rounds, joins and stamps
    attention     the timeline of the layer program `attention`, as Python sees it
    memory        its memory, and how its tables grow
    memory_map    what lies where in it
    walk          over rounds, from instant to instant
    tasks         what the end of a task does, and what starts then
    service       tasks become ready, and start
    prefill_kv    K tasks and what waits for them
    skip          leaves out periods that recur
    gpu           the timeline of the layer program `gpu`

Letters in the code, as in the rules:

    m       the memory of a timeline: one flat int64 array
    s       pass (sub-batch), 0 or 1
    l       layer, 0 to L - 1; B also has L
    j       rankset, 0 to R - 1
    o       offset of a request: it attends layer l on rankset (o + l) mod R
    B P D A U K   kinds of tasks: block, prefill attention, down, attention, up, prefill KV; K(s,l,j) is one

A *lane* is where a running task is noted; at most one runs there at a time. B and P run in the GPU's lane, D
and K in that of the way down, U in that of the way up, and A in a lane of its rankset. Devices have *rank
lanes*: each is one rank, (device, domain), and A takes as long as the slowest rank lane of its rankset.
"""

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

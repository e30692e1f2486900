"""Who waits, who runs: tasks of class 0 become ready, and any task starts. Compiled."""

from l3sim.orchestrator.engine.timeline.compiling import inlined
from l3sim.orchestrator.engine.timeline.memory_map import (
    B_FIRST,
    B_LAST,
    B_MID,
    BUSY,
    COLUMN,
    DOWN,
    FRESH,
    GPU,
    J_MASK,
    KIND_MASK,
    KIND_SHIFT,
    LAYER,
    LAYERS,
    NEEDS,
    NEEDS_MASK,
    NOW,
    P_COST,
    PASS_SHIFT,
    QUEUE,
    RANKS,
    RUN_CODE,
    RUN_END,
    RUN_START,
    TABLE_AT,
    UP,
    WAITING,
    D,
    P,
    U,
)
from l3sim.units import Int64s


@inlined
def code_of(s: int, kind: int, j: int) -> int:
    """Name a task."""
    return (s << PASS_SHIFT) | (kind << KIND_SHIFT) | j


@inlined
def make_ready(m: Int64s, code: int) -> None:
    """Let a task of class 0 wait from now on, in its place among those that became ready at this instant."""
    place = QUEUE + m[WAITING]
    fresh = QUEUE + m[FRESH]
    m[WAITING] += 1
    while place > fresh and m[place - 1] > code:
        m[place] = m[place - 1]
        place -= 1
    m[place] = code


@inlined
def start(m: Int64s, lane: int, code: int, duration: int) -> None:
    """Note a task as running from now on."""
    m[BUSY] |= m[NEEDS + (code & NEEDS_MASK)]
    m[RUN_CODE + lane] = code
    m[RUN_START + lane] = m[NOW]
    m[RUN_END + lane] = m[NOW] + duration


@inlined
def start_waiting(m: Int64s, code: int) -> None:
    """Start a task of class 0 at its pass's layer, for as long as this round's cost row says."""
    s = code >> PASS_SHIFT
    kind = (code >> KIND_SHIFT) & KIND_MASK
    j = code & J_MASK
    if kind >= D:
        lane = DOWN if kind == D else UP if kind == U else RANKS + j
        start(m, lane, code, m[m[TABLE_AT + kind] + m[COLUMN + s] + j])
    elif kind == P:
        start(m, GPU, code, m[P_COST + s])
    else:
        layer = m[LAYER + s]
        block = B_FIRST if layer == 0 else B_LAST if layer == m[LAYERS] else B_MID
        start(m, GPU, code, m[block + s])

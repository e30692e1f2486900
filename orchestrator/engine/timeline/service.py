"""Tasks of class 0 become ready and wait; any task starts. Compiled."""

from l3sim.jit import jit
from l3sim.orchestrator.engine.timeline import memory_map as at
from l3sim.units import Int64s


@jit(no_refs=True, inline=True)
def code_of(s: int, kind: int, j: int) -> int:
    """Name a task."""
    return (s << at.PASS_SHIFT) | (kind << at.KIND_SHIFT) | j


@jit(no_refs=True, inline=True)
def make_ready(m: Int64s, code: int) -> None:
    """Let a task of class 0 wait from now on, in its place among those that became ready at this instant."""
    place = at.QUEUE + m[at.WAITING]
    fresh = at.QUEUE + m[at.FRESH]
    m[at.WAITING] += 1
    while place > fresh and m[place - 1] > code:
        m[place] = m[place - 1]
        place -= 1
    m[place] = code


@jit(no_refs=True, inline=True)
def start(m: Int64s, lane: int, code: int, duration: int) -> None:
    """Note a task as running from now on."""
    m[at.BUSY] |= m[at.NEEDS + (code & at.NEEDS_MASK)]
    m[at.RUN_CODE + lane] = code
    m[at.RUN_START + lane] = m[at.NOW]
    m[at.RUN_END + lane] = m[at.NOW] + duration


@jit(no_refs=True, inline=True)
def start_waiting(m: Int64s, code: int) -> None:
    """Start a task of class 0 at its pass's layer, for as long as this round's cost row says."""
    s = code >> at.PASS_SHIFT
    kind = (code >> at.KIND_SHIFT) & at.KIND_MASK
    j = code & at.J_MASK
    if kind >= at.D:
        lane = at.DOWN if kind == at.D else at.UP if kind == at.U else at.RANKS + j
        start(m, lane, code, m[m[at.TABLE_AT + kind] + m[at.COLUMN + s] + j])
    elif kind == at.P:
        start(m, at.GPU, code, m[at.P_COST + s])
    else:
        layer = m[at.LAYER + s]
        block = at.B_FIRST if layer == 0 else at.B_LAST if layer == m[at.LAYERS] else at.B_MID
        start(m, at.GPU, code, m[block + s])

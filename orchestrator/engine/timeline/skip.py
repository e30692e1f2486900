"""Skipping whole periods of a round whose relative state recurs. Compiled.

Layers of one class cost the same, so between layers 1 and L - 1 the walk is a function of the relative
state alone: what runs and for how much longer, which tasks wait in which order, what each pass still waits
for, and how far apart the passes are. If the state of layer l recurs q * R layers on, so does all that
lay between, shifted, until a pass comes to B(s,L), which has a cost of its own. B(s,0) has one as well:
no snapshot is taken before l = R, when both passes have started (B(1,0) is ready before B(0,1)).
"""

from l3sim.jit import jit
from l3sim.orchestrator.engine.timeline import memory_map as at
from l3sim.orchestrator.engine.timeline.service import code_of
from l3sim.units import Int64s

#: Cells of a snapshot: when and where it was taken, where it ends, then the relative state.
TIME, AT, LENGTH, APART, TODOS, TASKS = 0, 1, 2, 3, 4, 6
#: In APART when the other pass does not run: no true distance is as large.
ALONE = at.IDLE


@jit(no_refs=True, inline=True)
def due(m: Int64s) -> bool:
    """Whether the lowest pass that runs started B(s,l) at this instant, with 0 < l < L and l = 0 mod R."""
    lowest = 0 if m[at.RUNS] else 1
    return bool(
        m[at.RUN_START + at.GPU] == m[at.NOW]
        and m[at.RUN_END + at.GPU] != at.IDLE
        and m[at.RUN_CODE + at.GPU] == code_of(lowest, at.B, 0)
        and m[at.COLUMN + lowest] == lowest * m[at.RANKSETS] * m[at.RANKSETS]
        and 0 < m[at.LAYER + lowest] < m[at.LAYERS]
    )


@jit(no_refs=True)
def take(m: Int64s, shot: int) -> None:
    """Write the relative state down."""
    lowest = 0 if m[at.RUNS] else 1
    other = 1 - lowest
    m[shot + TIME] = m[at.NOW]
    m[shot + AT] = m[at.LAYER + lowest]
    m[shot + APART] = m[at.LAYER + other] - m[at.LAYER + lowest] if m[at.RUNS + other] else ALONE
    m[shot + TODOS] = m[at.AWAITS]
    m[shot + TODOS + 1] = m[at.AWAITS + 1]
    cell = TASKS
    for place in range(at.QUEUE, at.QUEUE + m[at.WAITING]):
        m[shot + cell] = m[place]
        cell += 1
    for lane in range(m[at.LANES]):
        runs = m[at.RUN_END + lane] != at.IDLE
        m[shot + cell] = m[at.RUN_CODE + lane] if runs else -1
        m[shot + cell + 1] = m[at.RUN_END + lane] - m[at.NOW] if runs else 0
        cell += 2
    m[shot + LENGTH] = cell


@jit(no_refs=True)
def same(m: Int64s, shot: int, earlier: int) -> bool:
    """Whether two snapshots show the same relative state."""
    for cell in range(LENGTH, m[shot + LENGTH]):  # noqa: SIM110 (a generator does not compile)
        if m[shot + cell] != m[earlier + cell]:
            return False
    return True


@jit(no_refs=True)
def shift(m: Int64s, layers: int, duration: int) -> None:
    """Move the passes on by some layers, a multiple of R, and some time."""
    m[at.NOW] += duration
    for s in range(2):
        if m[at.RUNS + s]:
            m[at.LAYER + s] += layers
    for lane in range(m[at.LANES]):
        if m[at.RUN_END + lane] != at.IDLE:
            m[at.RUN_START + lane] += duration
            m[at.RUN_END + lane] += duration


@jit(no_refs=True)
def look(m: Int64s) -> None:
    """Take a snapshot; if an earlier one of this round equals it, skip as many whole periods as there are."""
    number = m[at.SHOTS]
    shot = m[at.SHOTS_AT] + number % at.RINGS * m[at.SHOT_CELLS]
    take(m, shot)
    m[at.SHOTS] = number + 1
    for back in range(1, min(number, at.DEPTH) + 1):
        earlier = m[at.SHOTS_AT] + (number - back) % at.RINGS * m[at.SHOT_CELLS]
        if not same(m, shot, earlier):
            continue
        layers = m[shot + AT] - m[earlier + AT]
        ahead = 0
        for s in range(2):
            if m[at.RUNS + s]:
                ahead = max(ahead, m[at.LAYER + s])
        # What starts in the skipped part is of layer L - 1 at most: every B(s,L) is walked.
        periods = max(0, (m[at.LAYERS] - 1 - ahead) // layers)
        shift(m, periods * layers, periods * (m[shot + TIME] - m[earlier + TIME]))
        m[at.SKIPPED] += periods * layers
        m[at.SHOTS] = -1
        return

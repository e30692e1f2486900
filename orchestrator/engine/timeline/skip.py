"""Skipping whole periods of a round whose relative state recurs. Compiled.

Layers of one class cost the same, so between layers 1 and L - 1 the walk is a function of the relative
state alone: what runs and for how much longer, who waits in which order, what each pass still waits
for, and how far apart the passes are. If the state of layer l recurs q * R layers on, so does all that
lay between, shifted, until a pass comes to B(s,L), which has a cost of its own. B(s,0) has one as well:
no snapshot is taken before l = R, when both passes have started (B(1,0) is ready before B(0,1)).
"""

from l3sim.orchestrator.engine.timeline.compiling import compiled, inlined
from l3sim.orchestrator.engine.timeline.memory_map import (
    AWAITS,
    COLUMN,
    DEPTH,
    GPU,
    IDLE,
    LANES,
    LAYER,
    LAYERS,
    NOW,
    QUEUE,
    RANKSETS,
    RINGS,
    RUN_CODE,
    RUN_END,
    RUN_START,
    RUNS,
    SHOT_CELLS,
    SHOTS,
    SHOTS_AT,
    SKIPPED,
    WAITING,
    B,
)
from l3sim.orchestrator.engine.timeline.service import code_of
from l3sim.units import Int64s

#: Cells of a snapshot: when and where it was taken, where it ends, then the relative state.
TIME, AT, LENGTH, APART, TODOS, TASKS = 0, 1, 2, 3, 4, 6
#: In APART when the other pass does not run: no true distance is as large.
ALONE = IDLE


@inlined
def due(m: Int64s) -> bool:
    """Whether the lowest pass that runs started B(s,l) at this instant, with 0 < l < L and l = 0 mod R."""
    lowest = 0 if m[RUNS] else 1
    return bool(
        m[RUN_START + GPU] == m[NOW]
        and m[RUN_END + GPU] != IDLE
        and m[RUN_CODE + GPU] == code_of(lowest, B, 0)
        and m[COLUMN + lowest] == lowest * m[RANKSETS] * m[RANKSETS]
        and 0 < m[LAYER + lowest] < m[LAYERS]
    )


@compiled
def take(m: Int64s, shot: int) -> None:
    """Write the relative state down."""
    lowest = 0 if m[RUNS] else 1
    other = 1 - lowest
    m[shot + TIME] = m[NOW]
    m[shot + AT] = m[LAYER + lowest]
    m[shot + APART] = m[LAYER + other] - m[LAYER + lowest] if m[RUNS + other] else ALONE
    m[shot + TODOS] = m[AWAITS]
    m[shot + TODOS + 1] = m[AWAITS + 1]
    cell = TASKS
    for place in range(QUEUE, QUEUE + m[WAITING]):
        m[shot + cell] = m[place]
        cell += 1
    for lane in range(m[LANES]):
        runs = m[RUN_END + lane] != IDLE
        m[shot + cell] = m[RUN_CODE + lane] if runs else -1
        m[shot + cell + 1] = m[RUN_END + lane] - m[NOW] if runs else 0
        cell += 2
    m[shot + LENGTH] = cell


@compiled
def same(m: Int64s, shot: int, earlier: int) -> bool:
    """Whether two snapshots show the same relative state."""
    for cell in range(LENGTH, m[shot + LENGTH]):  # noqa: SIM110 (a generator does not compile)
        if m[shot + cell] != m[earlier + cell]:
            return False
    return True


@compiled
def shift(m: Int64s, layers: int, duration: int) -> None:
    """Move the passes on by some layers, a multiple of R, and some time."""
    m[NOW] += duration
    for s in range(2):
        if m[RUNS + s]:
            m[LAYER + s] += layers
    for lane in range(m[LANES]):
        if m[RUN_END + lane] != IDLE:
            m[RUN_START + lane] += duration
            m[RUN_END + lane] += duration


@compiled
def look(m: Int64s) -> None:
    """Take a snapshot; if an earlier one of this round equals it, skip as many whole periods as there are."""
    number = m[SHOTS]
    shot = m[SHOTS_AT] + number % RINGS * m[SHOT_CELLS]
    take(m, shot)
    m[SHOTS] = number + 1
    for back in range(1, min(number, DEPTH) + 1):
        earlier = m[SHOTS_AT] + (number - back) % RINGS * m[SHOT_CELLS]
        if not same(m, shot, earlier):
            continue
        layers = m[shot + AT] - m[earlier + AT]
        ahead = 0
        for s in range(2):
            if m[RUNS + s]:
                ahead = max(ahead, m[LAYER + s])
        # What starts in the skipped part is of layer L - 1 at most: every B(s,L) is walked.
        periods = max(0, (m[LAYERS] - 1 - ahead) // layers)
        shift(m, periods * layers, periods * (m[shot + TIME] - m[earlier + TIME]))
        m[SKIPPED] += periods * layers
        m[SHOTS] = -1
        return

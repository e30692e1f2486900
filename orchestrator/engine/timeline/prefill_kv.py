"""K tasks: batches, the rings where they wait, and what waits for them. Compiled."""

from l3sim.jit import jit
from l3sim.orchestrator.engine.timeline import memory_map as at
from l3sim.orchestrator.engine.timeline.service import code_of, start
from l3sim.units import Int64s


@jit(no_refs=True, inline=True)
def batch_at(m: Int64s, batch: int) -> int:
    """Offset of a batch."""
    offset: int = m[at.BATCHES_AT] + batch * (at.BATCH_COLUMNS + m[at.RANKSETS] * m[at.RANKSETS])
    return offset


@jit(no_refs=True, inline=True)
def undone(m: Int64s, batch: int, cls: int, j: int) -> int:
    """Offset of the lowest layer of a class whose K on rankset j has not ended."""
    offset: int = batch_at(m, batch) + at.BATCH_COLUMNS + cls * m[at.RANKSETS] + j
    return offset


@jit(no_refs=True, inline=True)
def place_in_queue(m: Int64s, j: int, place: int) -> int:
    """Offset of a place in the ring of rankset j."""
    offset: int = m[at.QUEUES_AT] + (j * m[at.ROOM] + (place & (m[at.ROOM] - 1))) * at.KV_COLUMNS
    return offset


@jit(no_refs=True)
def kv_tasks(m: Int64s, s: int) -> int:
    """Count the K tasks that a pass will make. A class from L on has no layer."""
    ranksets = m[at.RANKSETS]
    first = m[at.TABLE_AT + at.K] + s * ranksets * ranksets
    tasks = 0
    for cls in range(ranksets):
        layers = (m[at.LAYERS] - cls + ranksets - 1) // ranksets
        for j in range(ranksets):
            if m[first + cls * ranksets + j] > 0:
                tasks += layers
    return tasks


@jit(no_refs=True)
def open_batch(m: Int64s, s: int) -> int:
    """Number the K tasks that pass s is going to make; -1: none."""
    tasks = kv_tasks(m, s)
    if tasks == 0:
        return -1
    number: int = m[at.BATCHES]
    m[at.BATCHES] += 1
    batch = batch_at(m, number)
    m[batch + at.LEFT] = tasks
    m[batch + at.END] = -1
    m[batch + at.MADE_IN] = m[at.ROUND]
    m[batch + at.MADE_BY] = s
    m[batch + at.GATES] = m[at.UNCHUNKED + s]
    ranksets = m[at.RANKSETS]
    first = m[at.TABLE_AT + at.K] + s * ranksets * ranksets
    for cls in range(ranksets):
        for j in range(ranksets):
            exists = m[first + cls * ranksets + j] > 0
            m[undone(m, number, cls, j)] = cls if exists else at.IDLE
    return number


@jit(no_refs=True)
def make_kv(m: Int64s, s: int) -> None:
    """Queue K(s,l,j) for every j that has one."""
    column = m[at.TABLE_AT + at.K] + m[at.COLUMN + s]
    for j in range(m[at.RANKSETS]):
        if m[column + j] > 0:
            waiting = place_in_queue(m, j, m[at.HEADS + j] + m[at.COUNTS + j])
            m[waiting + at.READY] = m[at.NOW]
            m[waiting + at.AT_LAYER] = m[at.LAYER + s]
            m[waiting + at.BATCH] = m[at.MAKES + s]
            m[waiting + at.DURATION] = m[column + j]
            m[at.COUNTS + j] += 1
            m[at.KV_WAITING] += 1
            m[at.KV_LEFT] += 1
            m[at.AWAITS + s] += m[at.UNCHUNKED + s]


@jit(no_refs=True)
def is_held(m: Int64s, s: int, j: int) -> bool:
    """Whether A(s,l,j) waits for a K task that has not ended."""
    layer = m[at.LAYER + s]
    cls = layer % m[at.RANKSETS]
    offset = (j - cls) % m[at.RANKSETS]
    for w in range(m[at.WAITS]):
        wait = m[at.WAITS_AT] + w * (1 + 2 * m[at.RANKSETS])
        if m[wait + 1 + s * m[at.RANKSETS] + offset] and m[undone(m, m[wait], cls, j)] <= layer:
            return True
    return False


@jit(no_refs=True)
def serve_kv(m: Int64s) -> None:
    """Start the first K task whose resources are free; each holds link_down, so no second one can start.

    Those of one rankset need the same, so only the head of each ring counts. No two blocks end at one
    instant, so of equal ready times the lower j goes first, whatever s and l are.
    """
    first = -1
    ready = at.IDLE
    for j in range(m[at.RANKSETS]):
        if m[at.COUNTS + j] > 0 and not m[at.BUSY] & m[at.NEEDS + code_of(0, at.K, j)]:
            since = m[place_in_queue(m, j, m[at.HEADS + j]) + at.READY]
            if since < ready:
                first = j
                ready = since
    if first < 0:
        return
    waiting = place_in_queue(m, first, m[at.HEADS + first])
    m[at.KV_BATCH] = m[waiting + at.BATCH]
    m[at.KV_LAYER] = m[waiting + at.AT_LAYER]
    m[at.KV_WAITING] -= 1
    m[at.COUNTS + first] -= 1
    m[at.HEADS + first] = (m[at.HEADS + first] + 1) & (m[at.ROOM] - 1)
    start(m, at.DOWN, code_of(0, at.K, first), m[waiting + at.DURATION])

"""K tasks: batches, the rings where they wait, and who waits for them. Compiled."""

from l3sim.orchestrator.engine.timeline.compiling import compiled, inlined
from l3sim.orchestrator.engine.timeline.memory_map import (
    AT_LAYER,
    AWAITS,
    BATCH,
    BATCH_COLUMNS,
    BATCHES,
    BATCHES_AT,
    BUSY,
    COLUMN,
    COUNTS,
    DOWN,
    DURATION,
    END,
    GATES,
    HEADS,
    IDLE,
    KV_BATCH,
    KV_COLUMNS,
    KV_LAYER,
    KV_LEFT,
    KV_WAITING,
    LAYER,
    LAYERS,
    LEFT,
    MADE_BY,
    MADE_IN,
    MAKES,
    NEEDS,
    NOW,
    QUEUES_AT,
    RANKSETS,
    READY,
    ROOM,
    ROUND,
    TABLE_AT,
    UNCHUNKED,
    WAITS,
    WAITS_AT,
    K,
)
from l3sim.orchestrator.engine.timeline.service import code_of, start
from l3sim.units import Int64s


@inlined
def batch_at(m: Int64s, batch: int) -> int:
    """Offset of a batch."""
    offset: int = m[BATCHES_AT] + batch * (BATCH_COLUMNS + m[RANKSETS] * m[RANKSETS])
    return offset


@inlined
def undone(m: Int64s, batch: int, cls: int, j: int) -> int:
    """Offset of the lowest layer of a class whose K on rankset j has not ended."""
    offset: int = batch_at(m, batch) + BATCH_COLUMNS + cls * m[RANKSETS] + j
    return offset


@inlined
def place_in_queue(m: Int64s, j: int, place: int) -> int:
    """Offset of a place in the ring of rankset j."""
    offset: int = m[QUEUES_AT] + (j * m[ROOM] + (place & (m[ROOM] - 1))) * KV_COLUMNS
    return offset


@compiled
def kv_tasks(m: Int64s, s: int) -> int:
    """Count the K tasks that a pass will make. A class from L on has no layer."""
    ranksets = m[RANKSETS]
    first = m[TABLE_AT + K] + s * ranksets * ranksets
    tasks = 0
    for cls in range(ranksets):
        layers = (m[LAYERS] - cls + ranksets - 1) // ranksets
        for j in range(ranksets):
            if m[first + cls * ranksets + j] > 0:
                tasks += layers
    return tasks


@compiled
def open_batch(m: Int64s, s: int) -> int:
    """Number the K tasks that pass s is going to make; -1: none."""
    tasks = kv_tasks(m, s)
    if tasks == 0:
        return -1
    number: int = m[BATCHES]
    m[BATCHES] += 1
    batch = batch_at(m, number)
    m[batch + LEFT] = tasks
    m[batch + END] = -1
    m[batch + MADE_IN] = m[ROUND]
    m[batch + MADE_BY] = s
    m[batch + GATES] = m[UNCHUNKED + s]
    ranksets = m[RANKSETS]
    first = m[TABLE_AT + K] + s * ranksets * ranksets
    for cls in range(ranksets):
        for j in range(ranksets):
            exists = m[first + cls * ranksets + j] > 0
            m[undone(m, number, cls, j)] = cls if exists else IDLE
    return number


@compiled
def make_kv(m: Int64s, s: int) -> None:
    """Queue K(s,l,j) for every j that has one."""
    column = m[TABLE_AT + K] + m[COLUMN + s]
    for j in range(m[RANKSETS]):
        if m[column + j] > 0:
            waiting = place_in_queue(m, j, m[HEADS + j] + m[COUNTS + j])
            m[waiting + READY] = m[NOW]
            m[waiting + AT_LAYER] = m[LAYER + s]
            m[waiting + BATCH] = m[MAKES + s]
            m[waiting + DURATION] = m[column + j]
            m[COUNTS + j] += 1
            m[KV_WAITING] += 1
            m[KV_LEFT] += 1
            m[AWAITS + s] += m[UNCHUNKED + s]


@compiled
def is_held(m: Int64s, s: int, j: int) -> bool:
    """Whether A(s,l,j) waits for a K task that has not ended."""
    layer = m[LAYER + s]
    cls = layer % m[RANKSETS]
    offset = (j - cls) % m[RANKSETS]
    for w in range(m[WAITS]):
        wait = m[WAITS_AT] + w * (1 + 2 * m[RANKSETS])
        if m[wait + 1 + s * m[RANKSETS] + offset] and m[undone(m, m[wait], cls, j)] <= layer:
            return True
    return False


@compiled
def serve_kv(m: Int64s) -> None:
    """Start the first K task whose resources are free; each holds link_down, so no second one can start.

    Those of one rankset need the same, so only the head of each ring counts. No two blocks end at one
    instant, so of equal ready times the lower j goes first, whatever s and l are.
    """
    first = -1
    ready = IDLE
    for j in range(m[RANKSETS]):
        if m[COUNTS + j] > 0 and not m[BUSY] & m[NEEDS + code_of(0, K, j)]:
            since = m[place_in_queue(m, j, m[HEADS + j]) + READY]
            if since < ready:
                first = j
                ready = since
    if first < 0:
        return
    waiting = place_in_queue(m, first, m[HEADS + first])
    m[KV_BATCH] = m[waiting + BATCH]
    m[KV_LAYER] = m[waiting + AT_LAYER]
    m[KV_WAITING] -= 1
    m[COUNTS + first] -= 1
    m[HEADS + first] = (m[HEADS + first] + 1) & (m[ROOM] - 1)
    start(m, DOWN, code_of(0, K, first), m[waiting + DURATION])

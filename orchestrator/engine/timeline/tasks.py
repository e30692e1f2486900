"""What the end of a task does, and which waiting tasks start then. Compiled. Rules: `docs/time.md`."""

from l3sim.orchestrator.engine.timeline.compiling import compiled, inlined
from l3sim.orchestrator.engine.timeline.memory_map import (
    AWAITS,
    BUSY,
    COLUMN,
    DOWN,
    END,
    ENDED,
    FRESH,
    GATES,
    HELD,
    IDLE,
    J_MASK,
    KIND_MASK,
    KIND_SHIFT,
    KV_BATCH,
    KV_END,
    KV_LAYER,
    KV_LEFT,
    KV_WAITING,
    LAYER,
    LAYERS,
    LEFT,
    LIVE,
    MADE_BY,
    MADE_IN,
    MAKES,
    NEEDS,
    NEEDS_MASK,
    NOW,
    P_COST,
    PASS_SHIFT,
    QUEUE,
    RANKSETS,
    RECORD,
    ROUND,
    RUN_CODE,
    RUN_END,
    RUN_START,
    RUNS,
    SPANS,
    SPANS_AT,
    TABLE_AT,
    WAITING,
    WAITS,
    A,
    B,
    D,
    K,
    P,
    U,
)
from l3sim.orchestrator.engine.timeline.prefill_kv import batch_at, is_held, make_kv, serve_kv, undone
from l3sim.orchestrator.engine.timeline.service import code_of, make_ready, start_waiting
from l3sim.units import Int64s


@inlined
def part_done(m: Int64s, s: int) -> None:
    """Count one thing less that B(s,l+1) waits for; at none left it becomes ready."""
    m[AWAITS + s] -= 1
    if m[AWAITS + s] > 0:
        return
    m[LAYER + s] += 1
    ranksets = m[RANKSETS]
    square = ranksets * ranksets
    m[COLUMN + s] += ranksets
    if m[COLUMN + s] == (s + 1) * square:
        m[COLUMN + s] = s * square
    make_ready(m, code_of(s, B, 0))


@inlined
def go_on(m: Int64s, s: int, j: int, kind: int) -> None:
    """Make ready the first of D, A and U(s,l,j) from `kind` on that exists; if none, this part is done."""
    while kind <= U and m[m[TABLE_AT + kind] + m[COLUMN + s] + j] == 0:
        kind += 1
    if kind > U:
        part_done(m, s)
    elif kind == A and m[WAITS] > 0 and is_held(m, s, j):
        m[HELD + (s << KIND_SHIFT) + j] = 1
    else:
        make_ready(m, code_of(s, kind, j))


@inlined
def after_block(m: Int64s, s: int) -> None:
    """B(s,l) ended: its pass ended too, or P, D and K of layer l become ready."""
    if m[LAYER + s] == m[LAYERS]:
        m[RUNS + s] = 0
        m[ENDED + s] = m[NOW]
        m[LIVE] -= 1
        return
    ranksets = m[RANKSETS]
    # One more than the ranksets, so that B(s,l+1) becomes ready here, once, if there is nothing to wait for.
    m[AWAITS + s] = 1 + ranksets
    if m[P_COST + s] > 0:
        m[AWAITS + s] += 1
        make_ready(m, code_of(s, P, 0))
    if m[MAKES + s] >= 0:
        make_kv(m, s)
    for j in range(ranksets):
        go_on(m, s, j, D)
    part_done(m, s)


@compiled
def after_kv(m: Int64s, j: int) -> None:
    """K(.,l,j) ended: A tasks, and B of an unchunked pass, may have waited for it."""
    batch = batch_at(m, m[KV_BATCH])
    layer = m[KV_LAYER]
    m[undone(m, m[KV_BATCH], layer % m[RANKSETS], j)] = layer + m[RANKSETS]
    m[KV_LEFT] -= 1
    m[KV_END] = m[NOW]
    m[batch + LEFT] -= 1
    if m[batch + LEFT] == 0:
        m[batch + END] = m[NOW]
    for s in range(2):
        held = HELD + (s << KIND_SHIFT) + j
        if m[held] and not is_held(m, s, j):
            m[held] = 0
            make_ready(m, code_of(s, A, j))
    if m[batch + GATES]:
        part_done(m, m[batch + MADE_BY])


@compiled
def record(m: Int64s, lane: int) -> None:
    """Write the span of a task that ends now, if its round is recorded."""
    code = m[RUN_CODE + lane]
    kind = (code >> KIND_SHIFT) & KIND_MASK
    s = code >> PASS_SHIFT
    number = m[ROUND]
    layer = m[LAYER + s]
    if kind == K:
        batch = batch_at(m, m[KV_BATCH])
        s = m[batch + MADE_BY]
        number = m[batch + MADE_IN]
        layer = m[KV_LAYER]
    if number >= m[RECORD]:
        return
    span = m[SPANS_AT] + 7 * m[SPANS]
    m[SPANS] += 1
    m[span + 0] = number
    m[span + 1] = s
    m[span + 2] = layer
    m[span + 3] = kind
    m[span + 4] = code & J_MASK if kind >= D else -1
    m[span + 5] = m[RUN_START + lane]
    m[span + 6] = m[NOW]


@inlined
def end(m: Int64s, lane: int) -> None:
    """End the task of a lane: free what it holds, make ready what waited for it last."""
    code = m[RUN_CODE + lane]
    if m[RECORD] > 0:
        record(m, lane)
    m[RUN_END + lane] = IDLE
    m[BUSY] &= ~m[NEEDS + (code & NEEDS_MASK)]
    s = code >> PASS_SHIFT
    kind = (code >> KIND_SHIFT) & KIND_MASK
    if kind == B:
        after_block(m, s)
    elif kind == P:
        part_done(m, s)
    elif kind == K:
        after_kv(m, code & J_MASK)
    else:
        go_on(m, s, code & J_MASK, kind + 1)


@inlined
def serve(m: Int64s) -> None:
    """Start, in the order of service, each waiting task whose resources are all free."""
    kept = QUEUE
    for place in range(QUEUE, QUEUE + m[WAITING]):
        code = m[place]
        if m[BUSY] & m[NEEDS + (code & NEEDS_MASK)]:
            m[kept] = code
            kept += 1
        else:
            start_waiting(m, code)
    m[WAITING] = kept - QUEUE
    m[FRESH] = kept - QUEUE
    if m[KV_WAITING] > 0 and m[RUN_END + DOWN] == IDLE:
        serve_kv(m)

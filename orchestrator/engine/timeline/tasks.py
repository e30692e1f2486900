"""What the end of a task does, and which waiting tasks start then. Compiled. Rules: `docs/time.md`."""

from l3sim.jit import jit
from l3sim.orchestrator.engine.timeline import memory_map as at
from l3sim.orchestrator.engine.timeline.prefill_kv import batch_at, is_held, make_kv, serve_kv, undone
from l3sim.orchestrator.engine.timeline.service import code_of, make_ready, start_waiting
from l3sim.units import Int64s


@jit(no_refs=True, inline=True)
def part_done(m: Int64s, s: int) -> None:
    """Count one thing less that B(s,l+1) waits for; at none left it becomes ready."""
    m[at.AWAITS + s] -= 1
    if m[at.AWAITS + s] > 0:
        return
    m[at.LAYER + s] += 1
    ranksets = m[at.RANKSETS]
    square = ranksets * ranksets
    m[at.COLUMN + s] += ranksets
    if m[at.COLUMN + s] == (s + 1) * square:
        m[at.COLUMN + s] = s * square
    make_ready(m, code_of(s, at.B, 0))


@jit(no_refs=True, inline=True)
def go_on(m: Int64s, s: int, j: int, kind: int) -> None:
    """Make ready the first of D, A and U(s,l,j) from `kind` on that exists; if none, this part is done."""
    while kind <= at.U and m[m[at.TABLE_AT + kind] + m[at.COLUMN + s] + j] == 0:
        kind += 1
    if kind > at.U:
        part_done(m, s)
    elif kind == at.A and m[at.WAITS] > 0 and is_held(m, s, j):
        m[at.HELD + (s << at.KIND_SHIFT) + j] = 1
    else:
        make_ready(m, code_of(s, kind, j))


@jit(no_refs=True, inline=True)
def after_block(m: Int64s, s: int) -> None:
    """B(s,l) ended: its pass ended too, or P, D and K of layer l become ready."""
    if m[at.LAYER + s] == m[at.LAYERS]:
        m[at.RUNS + s] = 0
        m[at.ENDED + s] = m[at.NOW]
        m[at.LIVE] -= 1
        return
    ranksets = m[at.RANKSETS]
    # One more than the ranksets, so that B(s,l+1) becomes ready here, once, if there is nothing to wait for.
    m[at.AWAITS + s] = 1 + ranksets
    if m[at.P_COST + s] > 0:
        m[at.AWAITS + s] += 1
        make_ready(m, code_of(s, at.P, 0))
    if m[at.MAKES + s] >= 0:
        make_kv(m, s)
    for j in range(ranksets):
        go_on(m, s, j, at.D)
    part_done(m, s)


@jit(no_refs=True)
def after_kv(m: Int64s, j: int) -> None:
    """K(.,l,j) ended: A tasks, and B of an unchunked pass, may have waited for it."""
    batch = batch_at(m, m[at.KV_BATCH])
    layer = m[at.KV_LAYER]
    m[undone(m, m[at.KV_BATCH], layer % m[at.RANKSETS], j)] = layer + m[at.RANKSETS]
    m[at.KV_LEFT] -= 1
    m[at.KV_END] = m[at.NOW]
    m[batch + at.LEFT] -= 1
    if m[batch + at.LEFT] == 0:
        m[batch + at.END] = m[at.NOW]
    for s in range(2):
        held = at.HELD + (s << at.KIND_SHIFT) + j
        if m[held] and not is_held(m, s, j):
            m[held] = 0
            make_ready(m, code_of(s, at.A, j))
    if m[batch + at.GATES]:
        part_done(m, m[batch + at.MADE_BY])


@jit(no_refs=True)
def record(m: Int64s, lane: int) -> None:
    """Write the span of a task that ends now, if its round is recorded."""
    code = m[at.RUN_CODE + lane]
    kind = (code >> at.KIND_SHIFT) & at.KIND_MASK
    s = code >> at.PASS_SHIFT
    number = m[at.ROUND]
    layer = m[at.LAYER + s]
    if kind == at.K:
        batch = batch_at(m, m[at.KV_BATCH])
        s = m[batch + at.MADE_BY]
        number = m[batch + at.MADE_IN]
        layer = m[at.KV_LAYER]
    if number >= m[at.RECORD]:
        return
    span = m[at.SPANS_AT] + 7 * m[at.SPANS]
    m[at.SPANS] += 1
    m[span + 0] = number
    m[span + 1] = s
    m[span + 2] = layer
    m[span + 3] = kind
    m[span + 4] = code & at.J_MASK if kind >= at.D else -1
    m[span + 5] = m[at.RUN_START + lane]
    m[span + 6] = m[at.NOW]


@jit(no_refs=True, inline=True)
def end(m: Int64s, lane: int) -> None:
    """End the task of a lane: free what it holds, make ready what waited for it last."""
    code = m[at.RUN_CODE + lane]
    if m[at.RECORD] > 0:
        record(m, lane)
    m[at.RUN_END + lane] = at.IDLE
    m[at.BUSY] &= ~m[at.NEEDS + (code & at.NEEDS_MASK)]
    s = code >> at.PASS_SHIFT
    kind = (code >> at.KIND_SHIFT) & at.KIND_MASK
    if kind == at.B:
        after_block(m, s)
    elif kind == at.P:
        part_done(m, s)
    elif kind == at.K:
        after_kv(m, code & at.J_MASK)
    else:
        go_on(m, s, code & at.J_MASK, kind + 1)


@jit(no_refs=True, inline=True)
def serve(m: Int64s) -> None:
    """Start, in the order of service, each waiting task whose resources are all free."""
    kept = at.QUEUE
    for place in range(at.QUEUE, at.QUEUE + m[at.WAITING]):
        code = m[place]
        if m[at.BUSY] & m[at.NEEDS + (code & at.NEEDS_MASK)]:
            m[kept] = code
            kept += 1
        else:
            start_waiting(m, code)
    m[at.WAITING] = kept - at.QUEUE
    m[at.FRESH] = kept - at.QUEUE
    if m[at.KV_WAITING] > 0 and m[at.RUN_END + at.DOWN] == at.IDLE:
        serve_kv(m)

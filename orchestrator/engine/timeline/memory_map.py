"""What the compiled walk reads and writes: codes of tasks, bits of resources, and memory.

All memory of a timeline is one flat int64 array `m`: scalars and small arrays at constant offsets, the
cost row of the round being walked, then tables whose offsets are kept in scalars (`memory.py` sizes them).
So the compiled code has no references to count, which would cost more than the walk itself.

A *code* names a task of the layer that its pass is at: (s, kind, j) in one integer, so that codes compare
as (s, l, kind, j) does, because a pass is at one layer at a time. K tasks have s = 0 in their code: their
batch says which pass made them. Lanes and letters are explained at the top of the package.
"""

from l3sim.orchestrator.engine.timeline import base

#: Kinds of tasks, in the order of service (`base.TASKS`).
B, P, D, A, U, K = range(6)

#: Lanes; A of rankset j runs in lane RANKS + j.
GPU, DOWN, UP, RANKS = range(4)

#: Resources as bits; R_j is RANK_BIT << j.
GPU_BIT, DOWN_BIT, UP_BIT, BUS_BIT, RANK_BIT = 1, 2, 4, 8, 16
#: As many as fit the bits of a positive int64.
MAX_RANKSETS = 58

#: Codes: j in the low bits, then the kind, then s.
KIND_SHIFT, PASS_SHIFT = 6, 9
J_MASK, KIND_MASK, NEEDS_MASK = (1 << KIND_SHIFT) - 1, 7, (1 << PASS_SHIFT) - 1

#: `m` at RUN_END of a lane where nothing runs: later than any time.
IDLE = 2**63 - 1

#: Scalars in `m`.
(
    NOW,  # the last instant served
    BUSY,  # resources held, as bits
    WAITING,  # tasks of class 0 that wait
    FRESH,  # of these, the ones from here on became ready at this instant
    LIVE,  # passes of this round that have not ended
    LAYERS,  # L
    RANKSETS,  # R
    LANES,  # RANKS + R
    GAP,  # gap_ps
    ROUND,  # number of the round that runs, or of the next
    BATCHES,  # batches made so far
    KV_WAITING,  # K tasks that wait
    KV_LEFT,  # K tasks that wait or run
    KV_BATCH,  # of the K that runs
    KV_LAYER,  # of the K that runs
    KV_END,  # latest end of a K in this call, or -1
    WAITS,  # rows of the table of waits that count
    RECORD,  # tasks of rounds below this go to the table of spans
    SPANS,  # rows of that table written
    SHOTS,  # snapshots of this round; -1: it takes none (see skip.py)
    SKIPPED,  # layers skipped so far, of the pass that was compared
    ROOM,  # length of a ring of the queues, a power of two
    QUEUES_AT,  # offset of the rings of waiting K tasks: R x ROOM x KV_COLUMNS
    BATCHES_AT,  # offset of the batches: rows of BATCH_COLUMNS + R * R
    WAITS_AT,  # offset of the waits: rows of the batch and (2, R) flags
    SHOTS_AT,  # offset of the snapshots: RINGS rows of SHOT_CELLS
    SHOT_CELLS,
    SPANS_AT,  # offset of the spans: rows of 7
    SCALARS,
) = range(29)

#: Offsets in `m` of pairs, by pass.
LAYER = SCALARS  # l
COLUMN = LAYER + 2  # (s * R + l mod R) * R: where the costs of this pass and class start in a table of costs
AWAITS = COLUMN + 2  # how much B(s,l+1) still waits for
RUNS = AWAITS + 2  # 1 until the pass has ended
UNCHUNKED = RUNS + 2  # 1: B(s,l+1) waits for K too
MAKES = UNCHUNKED + 2  # batch of its K tasks, or -1
ENDED = MAKES + 2  # end of B(s,L)

#: Offsets in `m` of arrays.
TABLE_AT = ENDED + 2  # by kind D..K: offset of its costs
RUN_END = TABLE_AT + 8  # by lane
RUN_START = RUN_END + 64  # by lane
RUN_CODE = RUN_START + 64  # by lane
NEEDS = RUN_CODE + 64  # resource bits by kind and j
HELD = NEEDS + NEEDS_MASK + 1  # by s and j (in steps of 64): 1 while A(s,l,j) waits for K tasks only
HEADS = HELD + 128  # by rankset: first place of its ring
COUNTS = HEADS + 64  # by rankset: length of its ring
QUEUE = COUNTS + 64  # codes of the tasks of class 0 that wait, in the order of service
COSTS = QUEUE + 2 * (2 + 3 * MAX_RANKSETS)  # the cost row, as `base.RoundCosts.rows`
B_FIRST, B_MID, B_LAST = COSTS + base.B_FIRST, COSTS + base.B_MID, COSTS + base.B_LAST
P_COST, TABLES = COSTS + base.P_COST, COSTS + base.TABLES

#: Columns of a waiting K; of a batch, before the lowest layer whose K has not ended by class and j.
READY, AT_LAYER, BATCH, DURATION, KV_COLUMNS = range(5)
LEFT, END, MADE_IN, MADE_BY, GATES, BATCH_COLUMNS = range(6)

#: Snapshots kept to compare with, and one that is being taken.
DEPTH = 4
RINGS = DEPTH + 1

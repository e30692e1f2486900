"""`l3`: alignment-predicting scheduling with two sub-batches (arXiv 2504.17584; docs/policies.md).

While sub-batch i attends in the DIMMs, the GPU runs i's prefill attention and the other's fully connected
layers. The policy fills both sides so that they end together: it predicts, a layer,
T_GPU_i = t_p(c_pi, f_pi) + t_batch(c_po, n_do) and T_PIM_i = t_d(f_di) + t_comm(n_di, c_po).
The source's indices are ambiguous; this is our reading of them.
"""

import numpy as np

from l3sim.units import Floats, Int64s
from l3sim.work import Chunk, Placed
from orchestrator.policies.base import NO_HORIZON, POLICIES, PassPlan, Plan, PlanView, Policy
from orchestrator.policies.deal import OUT, align_chunks, deal_aligned, deal_all, fullest_ranks
from orchestrator.policies.prefill import GRAIN, Dealt, deal_prefills
from orchestrator.predictor import Predictor

#: Decoding requests added at a time: 1 for MHA, 16 for GQA (arXiv 2504.17584).
STEP_MHA = 1
STEP_GQA = 16


@POLICIES.register("l3")
class L3(Policy):
    """Fills the PIM memory, then decodes as many requests as keep both sides busy.

    Who sits a plan out keeps its KV and comes first in the next; then plans are `horizon` rounds apart.
    When memory is full and the bubble is on the PIM side, the last prefill of each sub-batch is chunked.
    """

    placements = frozenset({"attention"})
    reads = frozenset(
        {"max_chunk_tokens", "min_chunk_tokens", "admit_watermark", "horizon", "selection", "admission"}
    )

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:
        """See Policy.plan."""
        sides = _Sides(view, predictor)
        may_admit = sides.may_admit if view.options.admission == "aligned" else None
        dealt = deal_prefills(view, self.passes, may_admit)
        side, times = sides.deal(dealt)
        # Nobody waited before this plan: cutting the prompt that empties the queue would only delay it.
        memory_full = not len(view.queue) or dealt.blocked not in ("", "chunk")
        if memory_full and dealt.unchunked < 0 and any(dealt.chunks) and sides.align(dealt, side, times):
            side, times = sides.deal(dealt)
        left_out = bool((side == OUT).any())
        return Plan(
            (
                PassPlan(sides.order[side == 0], tuple(dealt.chunks[0])),
                PassPlan(sides.order[side == 1], tuple(dealt.chunks[1])),
            ),
            tuple(dealt.admitted),
            horizon=view.options.horizon if left_out else NO_HORIZON,
            unchunked=dealt.unchunked,
            blocked=dealt.blocked,
            predicted_ps=tuple(times.tolist()),
        )


class _Sides:
    """The decoding requests of one plan, in the order in which they are dealt, and what they cost."""

    def __init__(self, view: PlanView, predictor: Predictor) -> None:
        self._view, self._predictor = view, predictor
        table, who = view.table, view.decoding
        self._everybody = view.options.selection == "all"
        longest_first, longest_idle_first = (
            (who, -table.held[who]),
            (table.admission[who], table.planned[who]),
        )
        self.order: Int64s = who[np.lexsort(longest_first if self._everybody else longest_idle_first)]
        self._place = table.offset[self.order] * view.layout.ranks + table.rank[self.order]
        self._cost = predictor.attend_group_ps(table.held[self.order] + 1)
        self._groups = view.layout.group_counts
        self._tables = (predictor.fc_grid, predictor.fc_ps, predictor.comm)
        self._entered: list[Placed] = []

    def deal(self, dealt: Dealt) -> tuple[Int64s, Floats]:
        """Sides of the requests in `order`, and the predicted times, beside these chunks."""
        tokens = np.array([dealt.tokens(i) for i in range(2)], dtype=np.int64)
        prefill = np.array([self._predictor.prefill_ps(dealt.chunks[i]) for i in range(2)])
        args = (self._place, self._cost, self._groups, self._predictor.pace, tokens, prefill, *self._tables)
        if self._everybody:
            return deal_all(*args)
        step = STEP_MHA if self._view.layout.queries_per_read == 1 else STEP_GQA
        return deal_aligned(*args, step)

    def align(self, dealt: Dealt, side: Int64s, times: Floats) -> bool:
        """Chunk the last prefill of each sub-batch so that T_GPU comes as close as possible to T_PIM.

        Only when a bubble is on the PIM side (T_PIM_i < T_GPU_i); True when a chunk changed.
        """
        if times[1] >= times[0] and times[3] >= times[2]:
            return False
        counts = np.array([(side == i).sum() for i in range(2)], dtype=np.int64)
        sizes = [self._sizes(chunks) for chunks in dealt.chunks]
        before = np.array([sum(one.tokens for one in chunks[:-1]) for chunks in dealt.chunks], dtype=np.int64)
        before_ps = np.array([self._predictor.prefill_ps(chunks[:-1]) for chunks in dealt.chunks])
        chosen = align_chunks(
            fullest_ranks(self._place, self._cost, side, self._groups, self._predictor.pace),
            counts,
            before,
            before_ps,
            *sizes[0],
            *sizes[1],
            *self._tables,
        )
        changed = False
        for chunks, size in zip(dealt.chunks, chosen, strict=True):
            if chunks and size != chunks[-1].tokens:
                last = chunks[-1]
                chunks[-1] = Chunk(last.request, int(size), last.finished_tokens, last=False)
                changed = True
        return changed

    def _sizes(self, chunks: list[Chunk]) -> tuple[Int64s, Floats]:
        """Sizes that the last chunk may take, and what its prefill attention takes: shapes (n,)."""
        if not chunks:
            return np.zeros(1, dtype=np.int64), np.zeros(1)
        last = chunks[-1]
        least = min(self._view.options.min_chunk_tokens, last.tokens)
        sizes = sorted({*range(-(-least // GRAIN) * GRAIN, last.tokens, GRAIN), last.tokens})
        tokens = np.array(sizes, dtype=np.int64)
        return tokens, self._predictor.chunks_ps(tokens, np.full_like(tokens, last.finished_tokens))

    def may_admit(self, placed: Placed) -> bool:
        """`admission: aligned`: whether T_PIM_i <= T_GPU_i for both i with the head decoding too.

        It counts as already decoding its whole prompt, as does who entered before it at this point, with no
        chunk in either sub-batch; the test is skipped while a sub-batch would have no decoding request.
        """
        table, view = self._view.table, self._view
        entering = [*self._entered, placed]
        if len(self.order) >= 2:
            place = np.array([one.offset * view.layout.ranks + one.rank for one in entering])
            cost = self._predictor.attend_group_ps(table.target[[one.request for one in entering]] + 1)
            _, times = deal_all(
                np.concatenate([self._place, place]),
                np.concatenate([self._cost, cost]),
                self._groups,
                self._predictor.pace,
                np.zeros(2, dtype=np.int64),
                np.zeros(2),
                *self._tables,
            )
            if times[1] > times[0] or times[3] > times[2]:
                return False
        self._entered = entering
        return True

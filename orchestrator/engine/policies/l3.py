"""`l3`: alignment-predicting scheduling with two sub-batches (arXiv 2504.17584; docs/policies.md).

While sub-batch i attends in the DIMMs, the GPU runs i's prefill attention and the other's fully connected
layers. The policy fills both sides so that they end together: it predicts, a layer,
T_GPU_i = t_p(c_pi, f_pi) + t_batch(c_po, n_do) and T_PIM_i = t_d(f_di) + t_comm(n_di, c_po).
The source's indices are ambiguous; this is our reading of them.
"""

import numpy as np

from l3sim.orchestrator.engine.policies.admission import GRAIN, PREFILL_KEYS, PrefillPlan, plan_prefills
from l3sim.orchestrator.engine.policies.base import NO_HORIZON, POLICIES, PassPlan, Plan, PlanView, Policy
from l3sim.orchestrator.engine.policies.last_chunks import LastChunk, align_chunks
from l3sim.orchestrator.engine.policies.partition import (
    OUT,
    Beside,
    fullest_ranks,
    partition_aligned,
    partition_all,
)
from l3sim.orchestrator.engine.prediction.predictor import Predictor
from l3sim.orchestrator.engine.reasons import Blocked
from l3sim.units import Floats, Int64s
from l3sim.work import Chunk, KvPlacement

#: Decoding requests added at a time: 1 for MHA, 16 for GQA (arXiv 2504.17584).
STEP_MHA = 1
STEP_GQA = 16
#: Of two sub-batches without chunks.
_NOTHING = np.zeros(2)


@POLICIES.register("l3")
class L3(Policy):
    """Fills the PIM memory, then decodes as many requests as keep both sides busy.

    A request that sits a plan out keeps its KV and comes first in the next; then plans are `horizon` rounds
    apart.
    When memory is full and the bubble is on the PIM side, the last prefill of each sub-batch is chunked.
    """

    placements = frozenset({"attention"})
    reads = PREFILL_KEYS | {
        *("horizon", "selection", "admission", "chunking", "sub_batches", "step", "alignment", "predictor")
    }
    # Every request decodes, and they are distributed one by one.
    excludes = ((("selection", "all"), ("step", "horizon")),)
    predicts = True

    def plan(self, view: PlanView, predictor: Predictor) -> Plan:
        """See Policy.plan."""
        sides = _Sides(view, predictor)
        options = view.options
        may_admit = sides.may_admit if options.admission == "aligned" else None
        prefills = plan_prefills(view, options.sub_batches, may_admit)
        side, times = sides.partition(prefills)
        # No request waited before this plan: cutting the prompt that empties the queue would only delay it.
        memory_full = not len(view.queue) or prefills.blocked not in (Blocked.NOTHING, Blocked.CHUNK)
        may_cut = options.chunking == "aligned" and memory_full and prefills.unchunked < 0
        if may_cut and any(prefills.chunks) and sides.align(prefills, side, times):
            side, times = sides.partition(prefills)
        left_out = np.count_nonzero(side == OUT)
        chunks = [tuple(some) for some in prefills.chunks] + [()]
        return Plan(
            (PassPlan(sides.order[side == 0], chunks[0]), PassPlan(sides.order[side == 1], chunks[1])),
            tuple(prefills.admitted),
            horizon=options.horizon if left_out else NO_HORIZON,
            unchunked=prefills.unchunked,
            blocked=prefills.blocked,
            predicted_ps=tuple(times[: 2 * options.sub_batches].tolist()),
            considered=sides.considered,
        )


class _Sides:
    """The decoding requests of one plan, in the order in which they are distributed, and what they cost."""

    def __init__(self, view: PlanView, predictor: Predictor) -> None:
        self._view, self._predictor = view, predictor
        table, rows, options = view.table, view.decoding, view.options
        self._passes, self._target = options.sub_batches, options.alignment
        self._all = options.selection == "all"
        longest_first, longest_idle_first = (
            (rows, -table.held[rows]),
            (table.admission[rows], table.planned[rows]),
        )
        self.order: Int64s = rows[np.lexsort(longest_first if self._all else longest_idle_first)]
        self._place = table.offset[self.order] * view.layout.ranks + table.rank[self.order]
        self._cost = predictor.attend_ps(view.layout, table.held[self.order] + 1)
        self._groups = view.layout.group_counts
        self._step = options.step or (STEP_MHA if view.layout.queries_per_read == 1 else STEP_GQA)
        self._entered: list[KvPlacement] = []
        #: What was weighed, for the decision record.
        self.considered: dict[str, float] = {"decode_predictions": 0}

    def partition(self, prefills: PrefillPlan) -> tuple[Int64s, Floats]:
        """Sides of the requests in `order`, and the predicted times, beside these chunks."""
        args = (self._place, self._cost, self._groups, self._predictor.pace, self._beside(prefills))
        side, times, asked = partition_all(*args) if self._all else partition_aligned(*args, self._step)
        self.considered["decode_predictions"] += asked
        return side, times

    def _beside(self, prefills: PrefillPlan) -> Beside:
        """Chunks, fully connected layers and transfers of a plan with these chunks."""
        predictor, most = self._predictor, len(self.order)
        if not any(prefills.chunks):
            return self._without_chunks(most)
        chunks, tokens = [*prefills.chunks, []][:2], [*prefills.tokens, 0][:2]
        return Beside(
            self._passes,
            self._target,
            np.array([predictor.pass_prefill_ps(some) for some in chunks]),
            np.stack([predictor.batch_line_ps(count, most) for count in tokens]),
            self._moved_ps(np.array(tokens, dtype=np.int64)),
            predictor.comm[:2],
        )

    def _without_chunks(self, most: int) -> Beside:
        """As most plans are: both sub-batches have the same line."""
        lines = self._predictor.idle_lines_ps(most)
        return Beside(self._passes, self._target, _NOTHING, lines, _NOTHING, self._predictor.comm[:2])

    def _moved_ps(self, chunk_tokens: Int64s) -> Floats:
        """Transfer of the KV of this many chunk tokens: the second half of t_comm."""
        comm = self._predictor.comm
        return np.where(chunk_tokens > 0, comm[2] + comm[3] * chunk_tokens, 0.0)

    def align(self, prefills: PrefillPlan, side: Int64s, times: Floats) -> bool:
        """Chunk the last prefill of each sub-batch so that T_GPU comes as close as possible to T_PIM.

        Only when a bubble is on the PIM side (T_PIM_i < target * T_GPU_i); True when a chunk changed.
        """
        bubbles = times[1::2] < self._target * times[0::2]
        if not bubbles[: self._passes].any():
            return False
        counts = np.array([(side == i).sum() for i in range(2)], dtype=np.int64)
        comm = self._predictor.comm
        attend = fullest_ranks(self._place, self._cost, side, self._groups, self._predictor.pace)
        attend += np.where(counts > 0, comm[0] + comm[1] * counts, 0.0)
        sizes = [
            self._sizes(some, int(counts[i])) for i, some in enumerate([*prefills.chunks, list[Chunk]()][:2])
        ]
        chosen = align_chunks(attend, self._passes, self._target, *sizes)
        self.considered["chunk_pairs"] = len(sizes[0].tokens) * len(sizes[1].tokens)
        changed = False
        for index, (chunks, size) in enumerate(zip(prefills.chunks, chosen, strict=False)):
            if chunks and size != chunks[-1].tokens:
                fewer = chunks[-1].tokens - int(size)
                self.considered["cut_tokens"] = self.considered.get("cut_tokens", 0) + fewer
                prefills.cut(index, int(size))
                changed = True
        return changed

    def _sizes(self, chunks: list[Chunk], decoding: int) -> LastChunk:
        """Sizes that the last chunk may take, and what its pass takes then."""
        if not chunks:
            nothing = np.zeros(1, dtype=np.int64)
            batch = self._predictor.batch_ps(nothing, np.array([decoding], dtype=np.int64))
            return LastChunk(nothing, np.zeros(1), batch, np.zeros(1))
        last = chunks[-1]
        least = min(self._view.options.min_chunk_tokens, last.tokens)
        sizes = sorted({*range(-(-least // GRAIN) * GRAIN, last.tokens, GRAIN), last.tokens})
        tokens = np.array(sizes, dtype=np.int64)
        whole = tokens + sum(chunk.tokens for chunk in chunks[:-1])
        return LastChunk(
            tokens,
            self._predictor.prefill_ps(chunks, tokens),
            self._predictor.batch_ps(whole, np.full_like(whole, decoding)),
            self._moved_ps(whole),
        )

    def may_admit(self, placed: KvPlacement) -> Blocked:
        """`admission: aligned`: let the head in while T_PIM_i <= target * T_GPU_i for all i.

        It counts as decoding with its whole prompt, as do those that entered before it at this point, with no
        chunk in either sub-batch; the test is skipped while a sub-batch would have no decoding request.
        """
        table, view, predictor = self._view.table, self._view, self._predictor
        entering = [*self._entered, placed]
        if len(self.order) >= self._passes:
            place = np.array([one.offset * view.layout.ranks + one.rank for one in entering])
            tokens = table.target[[one.request for one in entering]] + 1
            cost = predictor.attend_ps(view.layout, tokens)
            beside = self._without_chunks(len(self.order) + len(entering))
            whole = np.concatenate([self._place, place]), np.concatenate([self._cost, cost])
            _, times, _ = partition_all(*whole, self._groups, predictor.pace, beside)
            if (times[1::2] > self._target * times[0::2]).any():
                return Blocked.ALIGNED
        self._entered = entering
        return Blocked.NOTHING

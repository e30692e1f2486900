"""A predictor that makes no errors but those of its form: every value is a device's own answer.

A plan calls no device. So the oracle answers a plan from what it knows, notes what it was asked and does not
know, and the engine asks the devices and makes the plan again, until nothing new was asked:

    plan ── unknown values ── estimate windows ── plan ── ... ── plan, all known

Known values stay: those of the fully connected layers by tokens, of prefill attention by the chunks of the
pass, of decode attention by tokens of one head group. Transfers are the devices' answers at session start.
What is left as error: that a rank's time is the sum over its head groups, and which transfers share a layer.
"""

from collections.abc import Sequence

import numpy as np

from l3sim.orchestrator.engine.prediction.estimate_grid import (
    Grid,
    GridAnswers,
    attends,
    chunk_window,
    decode_window,
    everywhere,
    spreads,
)
from l3sim.orchestrator.engine.prediction.predictor import Predictor, Tables
from l3sim.placement import Layout
from l3sim.rank_map import RankMap
from l3sim.units import Floats, Int64s
from l3sim.work import Chunk, Costs, Op

#: Most questions of a kind that are asked at once; whatever is left is asked after the next try.
AT_ONCE = 1000

#: The chunks of a pass as (tokens, finished tokens).
Pass = tuple[tuple[int, int], ...]


class Oracle(Predictor):
    """Answers of one replica's devices, remembered.

    Args:
        tables: of the estimates at session start; they speak while an answer is awaited.
    """

    def __init__(self, layout: Layout, replica: int, tables: Tables) -> None:
        self.pace, self.comm = tables.pace, tables.comm
        self._layout, self._replica, self._tables = layout, replica, tables
        self._batch: dict[int, float] = {0: 0.0}
        self._prefill: dict[Pass, float] = {}
        self._group: dict[int, float] = {}
        # What was asked and is not known, in order of asking.
        self._wanted_passes: dict[Pass, None] = {}
        self._wanted_contexts: dict[int, None] = {}
        self._asked: tuple[list[Pass], list[int]] = ([], [])

    def prefill_ps(self, chunks: Sequence[Chunk], last: Int64s) -> Floats:
        """See Predictor.prefill_ps."""
        before = tuple((one.tokens, one.finished_tokens) for one in chunks[:-1])
        passes: list[Pass] = [(*before, (tokens, chunks[-1].finished_tokens)) for tokens in last.tolist()]
        for one in passes:
            if one not in self._prefill:
                self._wanted_passes[one] = None
        known = np.array([self._prefill.get(one, np.nan) for one in passes])
        return np.where(np.isnan(known), self._tables.prefill_ps(chunks, last), known)

    def batch_ps(self, chunk_tokens: Int64s, decoding: Int64s) -> Floats:
        """See Predictor.batch_ps."""
        tokens = (chunk_tokens + decoding).tolist()
        for one in tokens:
            if one not in self._batch:
                self._wanted_passes[((one, 0),)] = None
        known = np.array([self._batch.get(one, np.nan) for one in tokens])
        return np.where(np.isnan(known), self._tables.batch_ps(chunk_tokens, decoding), known)

    def attend_group_ps(self, tokens: Int64s) -> Floats:
        """See Predictor.attend_group_ps."""
        for one in tokens.tolist():
            if one not in self._group and one > 0:
                base = self._base_of(one)
                if base not in self._group and base > 0:
                    self._wanted_contexts[base] = None
                self._wanted_contexts[one] = None
        known = np.array([self._group.get(one, np.nan) for one in tokens.tolist()])
        return np.where(np.isnan(known), self._tables.attend_group_ps(tokens), known)

    def questions(self) -> Grid | None:
        """Windows to ask the devices before the plan is made again; None where all was known."""
        passes = list(self._wanted_passes)[:AT_ONCE]
        contexts = list(self._wanted_contexts)[:AT_ONCE]
        self._wanted_passes, self._wanted_contexts = {}, {}
        if not passes and not contexts:
            return None
        self._asked = (passes, contexts)
        return Grid(
            gpu=tuple(chunk_window(self._replica, *chunks) for chunks in passes),
            attention=tuple(
                decode_window(self._replica, [(self._request_of(tokens) - 1, 0)]) for tokens in contexts
            ),
            link=(),
        )

    def enter(self, answers: GridAnswers) -> None:
        """Remember the answers to the last `questions`; the link is asked nothing."""
        for chunks, answer in zip(self._asked[0], answers.gpu, strict=True):
            found = {cost.op: float(cost.duration_ps[0, 0, 0]) for cost in answer.costs}
            self._prefill[chunks] = found[Op.ATTEND_PREFILL]
            self._batch[sum(tokens for tokens, _ in chunks)] = found[Op.BLOCK_IN] + found[Op.BLOCK_OUT]
        for ranks, some in answers.attention:
            for tokens, answer in zip(self._asked[1], some, strict=True):
                self._enter_group(tokens, answer, ranks)

    def _base_of(self, tokens: int) -> int:
        """Tokens on all other ranks where a head group has so many on its first one, if fewer; or else 0."""
        if not spreads(self._layout, tokens):
            return 0
        stripe = self._layout.stripe_tokens
        return 0 if tokens % stripe == 0 else tokens // stripe * stripe

    def _request_of(self, tokens: int) -> int:
        """Tokens of a request of which a head group has so many on its first rank."""
        base = self._base_of(tokens)
        return base * self._layout.ranks + tokens - base if base else everywhere(self._layout, tokens)

    def _enter_group(self, tokens: int, answer: Costs, ranks: RankMap) -> None:
        layout, pace = self._layout, self.pace.ravel()
        for cost in attends(answer):
            for lane, pair in enumerate(zip(cost.device, cost.domain, strict=True)):
                rank = ranks.flat[pair]
                count = int(layout.group_counts[0, rank % layout.ranks])
                duration_ps = float(cost.duration_ps[lane, 0, 0])
                if rank >= layout.ranks or not count or not duration_ps:
                    continue
                base = self._base_of(tokens)
                if not spreads(layout, tokens):
                    self._group[tokens] = duration_ps / (count * float(pace[rank]))
                elif not base:
                    self._group[tokens] = duration_ps / (layout.groups * float(pace[rank]))
                elif rank == 0:
                    # All other head groups have the base there, which was asked before.
                    others = (layout.groups - count) * self._group[base]
                    self._group[tokens] = (duration_ps / float(pace[rank]) - others) / count

"""The unit on the buffer chip: adds partial sums, applies softmax chunk by chunk, puts segments together.

For each query it keeps a running maximum m and a running sum l of exponentials. A chunk of scores s gives

    m' = max(m, max s)      p = exp(s - m')  in FP16      l' = l exp(m - m') + sum p

and p stays in the score buffer beside the m' that it was made with. When the segment's scores are all there,

    S = p exp(m_chunk - m) / l  in FP16

goes back to the chips. Outputs o of a segment with m and l join those of the segments before, O with M and L:

    O' = (O a + o b) / (a + b)     a = L exp(M - M')     b = l exp(m - M')     M' = max(M, m)     L' = a + b

All in FP32 but where it says FP16; the scores are scaled by 1 / sqrt(E_h) here. Source: arXiv 2504.17584 for
chunked softmax with running maximum and sum and a last pass; what is kept in FP16, and how segments join, are
our reading.
"""

from math import sqrt

import numpy as np

from l3sim.errors import InvariantBroken
from l3sim.ieee import exponential
from l3sim.services.dimm_pim.functional.numeric import Halves, Singles, Sums, add_up
from l3sim.services.dram.command.geometry import Geometry


class RankUnit:
    """The state of one head group.

    Args:
        segment_tokens: what the score buffer holds. most: tokens that the group has.
    """

    def __init__(self, at: Geometry, segment_tokens: int, most: int) -> None:
        self._at = at
        self._segment = segment_tokens
        self._scale = np.float32(1 / sqrt(at.head_size))
        one = (at.heads, at.queries)
        self._first = 0
        self._top: Singles = np.full(one, -np.inf, dtype=np.float32)
        self._sum: Singles = np.zeros(one, dtype=np.float32)
        room = (min(segment_tokens, most), *one)
        self._made: Halves = np.full(room, np.nan, dtype=np.float16)  # p
        self._made_with: Singles = np.zeros(room, dtype=np.float32)  # m'
        self._count = 0  # tokens of the segment so far
        self._whole_top = self._top.copy()
        self._whole_sum = self._sum.copy()
        self._output: Singles = np.zeros((at.head_size, *one), dtype=np.float32)

    def scores(self, first: int, partials: Sums) -> None:
        """Take a chunk of scores.

        Args:
            first: its first token.
            partials: sums of each chip, shape (tokens, heads, chips of a head, queries).
        """
        if first % self._segment == 0:
            self._begin(first)
        sums = add_up(np.moveaxis(partials, 2, 0).astype(np.float32))
        scaled = sums * self._scale
        top = np.maximum(self._top, scaled.max(axis=0))
        made = exponential(scaled - top).astype(np.float16)
        kept: Singles = self._sum * exponential(self._top - top)
        added: Singles = add_up(made.astype(np.float32))
        self._sum = kept + added
        self._top = top
        here = slice(first - self._first, first - self._first + len(made))
        self._made[here], self._made_with[here] = made, top
        self._count = here.stop

    def weights(self, first: int, tokens: int) -> Halves:
        """S of tokens of this segment, shape (tokens, heads, queries).

        Raises:
            InvariantBroken: their scores are not there.
        """
        begin, end = first - self._first, first - self._first + tokens
        if begin < 0 or end > self._count:
            raise InvariantBroken(
                f"S of tokens {first} to {first + tokens - 1} was asked for before their scores"
            )
        made = self._made[begin:end].astype(np.float32)
        rescale = exponential(self._made_with[begin:end] - self._top)
        finished: Halves = (made * (rescale / self._sum)).astype(np.float16)
        return finished

    def outputs(self, query: int, sums: Sums) -> None:
        """Take this segment's outputs of some queries.

        Args:
            query: the first of them. sums: shape (head size, heads, queries).
        """
        turn = slice(query, query + sums.shape[-1])
        new = sums.astype(np.float32)
        top, total = self._top[:, turn], self._sum[:, turn]
        if self._first == 0:
            self._output[:, :, turn] = new
        else:
            most = np.maximum(self._whole_top[:, turn], top)
            before = self._whole_sum[:, turn] * exponential(self._whole_top[:, turn] - most)
            here = total * exponential(top - most)
            both = before + here
            self._output[:, :, turn] = (self._output[:, :, turn] * before + new * here) / both
            top, total = most, both
        self._whole_top[:, turn], self._whole_sum[:, turn] = top, total

    @property
    def partial(self) -> tuple[Singles, Singles, Singles]:
        """Running maximum, sum of exponentials (heads, queries), and output (heads, queries, head size)."""
        output: Singles = np.ascontiguousarray(self._output.transpose(1, 2, 0))
        return self._whole_top, self._whole_sum, output

    @property
    def output(self) -> Halves:
        """The attention output, shape (heads, queries, head size)."""
        return np.ascontiguousarray(self._output.transpose(1, 2, 0)).astype(np.float16)

    def _begin(self, first: int) -> None:
        """A new segment."""
        self._first = first
        self._top = np.full_like(self._top, -np.inf)
        self._sum = np.zeros_like(self._sum)
        self._count = 0

"""Attention of one head group as a program of commands.

    inner  | append | ACT  MAC ... MAC  PREA | ACT  MAC ... PREA | ... | ACT V   MAC ... MAC  PREA | ...
    outer  | Q             RD_RB RD_RB ...       RD_RB ...              WR_SB    WR_SB ...           RD_RB
    unit   |                 softmax     softmax ...         normalise  normalise ...
             write           score, a chunk of tokens at a time         context, a chunk of S        output

A chunk is `chunk_tokens` tokens, or fewer where a buffer would not hold two: it fills one slot of the result
buffer (score) or of the shared buffer (context). Slots are used in turn, so that chunk i+1 is computed while
chunk i moves. Without pipelining a chunk begins when the one before has gone all the way. A *segment* is as
many tokens as the rank's unit has room for scores; a longer context runs segment by segment, each with an
output of its own, which the unit adds up (as FlashAttention's blocks; our reading of what happens when scores
do not fit). Where the result buffer cannot hold the outputs of all queries, they take turns, and V is read
once for each turn.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, lcm

from l3sim.errors import InvalidInput
from l3sim.placement import Layout
from l3sim.services.dram.command.geometry import Geometry, geometry_of
from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.specs.rank import RankConfig


@dataclass(frozen=True)
class Kernel:
    """Everything that the program of a head group depends on but the tokens.

    Attributes:
        queries_per_read: N_cmr, at most the queries.
    """

    pim: RankConfig
    geometry: Geometry
    queries_per_read: int

    @property
    def dimm(self) -> DimmPimConfig:
        """The whole module.

        Raises:
            TypeError: it is no DIMM.
        """
        if not isinstance(self.pim, DimmPimConfig):
            raise TypeError(f"{type(self.pim).__name__} is no DIMM")
        return self.pim

    def passes(self, queries: int) -> int:
        """MACs of one column for some queries."""
        return -(-queries // self.queries_per_read)

    @property
    def query_bursts(self) -> int:
        """Bursts that bring Q to the shared buffers."""
        return self.geometry.queries * self.geometry.token_columns

    @property
    def query_bytes(self) -> int:
        """Q in one chip's shared buffer."""
        return self.geometry.queries * self.geometry.chip_elements * ELEMENT_BYTES

    @property
    def burst_sums(self) -> int:
        """Sums of one chip in a burst."""
        return self.geometry.column_bytes // self.pim.result_bytes

    @cached_property
    def score_chunk(self) -> int:
        """Tokens of one bank in a chunk of scores: so that the result buffer holds two, within a row."""
        fit = self.pim.result_buffer_bytes // (2 * self.geometry.queries * self.pim.result_bytes)
        return max(min(self.pim.chunk_tokens // self.geometry.units, fit, self.geometry.k_slots), 1)

    @cached_property
    def result_slots(self) -> int:
        """Chunks of scores that the result buffer holds; none: it cannot hold one token's."""
        return self.pim.result_buffer_bytes // (
            self.score_chunk * self.geometry.queries * self.pim.result_bytes
        )

    @cached_property
    def turn_queries(self) -> int:
        """Queries whose outputs the result buffer holds; none: it cannot hold one's."""
        outputs = self.geometry.bank_dims * self.pim.result_bytes
        return min(self.pim.result_buffer_bytes // outputs, self.geometry.queries)

    @cached_property
    def context_chunk(self) -> int:
        """Tokens in a chunk of S: so that the shared buffer holds two beside Q, within a row."""
        fit = self._shared_tokens // 2
        width = self.geometry.column_elements
        return max(min(self.pim.chunk_tokens, fit, self.geometry.v_row_tokens) // width * width, width)

    @cached_property
    def shared_slots(self) -> int:
        """Chunks of S that the shared buffer holds; none: it cannot hold a column's."""
        return self._shared_tokens // self.context_chunk

    @property
    def _shared_tokens(self) -> int:
        room = max(self.pim.shared_buffer_bytes - self.query_bytes, 0)
        return room // (ELEMENT_BYTES * max(self.turn_queries, 1))

    @cached_property
    def segment_tokens(self) -> int:
        """Tokens whose scores the rank's unit holds, in whole row blocks; none: not even of one."""
        scores = self.pim.score_buffer_bytes // (ELEMENT_BYTES * self.geometry.heads * self.geometry.queries)
        block = self.row_tokens
        return scores // block * block

    @cached_property
    def row_tokens(self) -> int:
        """Tokens that fill whole row blocks of K and of V: the period of the command pattern."""
        if self.pim.pu == "rank":
            return self.rank_row_tokens
        return lcm(self.geometry.k_row_tokens, self.geometry.v_row_tokens)

    @cached_property
    def token_bursts(self) -> int:
        """Bursts of K (or V) of one token on the rank's bus, all heads of the group."""
        return ceil(self.geometry.heads * self.geometry.head_size * ELEMENT_BYTES / self.rank_burst_bytes)

    @property
    def rank_burst_bytes(self) -> int:
        """One burst of all chips."""
        return self.geometry.chips * self.geometry.column_bytes

    @cached_property
    def rank_row_tokens(self) -> int:
        """Tokens of K in one row of all banks when they lie as the host writes them (`pu: rank`)."""
        return self.geometry.row_columns * self.geometry.banks // self.token_bursts

    def softmax_tck(self, elements: int) -> int:
        """Cycles of the rank's unit for a number of exponentials, or scalings of them."""
        return ceil(elements * 1e12 / (self.pim.softmax_elements_per_s * self.pim.tck_ps))

    def adder_lag(self, sums: int) -> int:
        """Cycles that the adders need beyond the time in which these sums arrive over the bus."""
        cycles = ceil(sums * 1e12 / (self.pim.adder_sums_per_s * self.pim.tck_ps))
        bursts = -(-sums // (self.burst_sums * self.geometry.chips))
        return max(cycles - bursts * self.pim.burst_tck, 0)


def kernel_of(pim: RankConfig, model: ModelShape, layout: Layout) -> Kernel:
    """The kernel of a job on a module.

    Raises:
        InvalidInput: the head does not fit the chips, or a buffer is too small; nothing is placed then.
    """
    at = geometry_of(pim, model, layout)
    kernel = Kernel(pim, at, min(layout.queries_per_read, at.queries))
    if pim.column_bytes % pim.result_bytes:
        raise InvalidInput(("result_bytes", f"must divide a burst of {pim.column_bytes} bytes"))
    if pim.pu == "rank" and not pim.pipelining:
        raise InvalidInput(("pipelining", "K and V are read whole, and nothing is collected; leave it on"))
    needs = f"for {at.queries} queries a KV head"
    if not (kernel.result_slots and kernel.turn_queries):
        raise InvalidInput(("result_buffer_bytes", f"{pim.result_buffer_bytes} hold no token's sums {needs}"))
    if not kernel.shared_slots:
        raise InvalidInput(("shared_buffer_bytes", f"{pim.shared_buffer_bytes} hold no Q and S {needs}"))
    if not kernel.segment_tokens:
        text = f"{pim.score_buffer_bytes} hold no scores of {kernel.row_tokens} tokens {needs}"
        raise InvalidInput(("score_buffer_bytes", text))
    return kernel

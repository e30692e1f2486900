"""A head in the banks of all groups at once, as in AttAcc: tokens over bank groups, elements inside.

    group        0                                   1                        ...   n - 1        (E_h 128)
    bank         0        n        2n       3n       1        n+1      ...
    token 0      e 0-31   e 32-63  e 64-95  e 96-127                              K, and V alike
    token 1                                          e 0-31   e 32-63  ...
    token n      the next columns of the banks of group 0

A token's K is `token_columns` columns in each bank of one group, its V as many in the same banks: token by
token, so that a new one is few bursts. Every bank has its part of Q or its group's S; the banks of a group
add their partial scores, the groups of a stack id their partial outputs, on the way out. An element count
that does not fill the columns is padded.

A *stage* is what is scored and then attended at once: the queries and tokens that the buffers have room
for. The context of a stage comes after the score of the next one, so that exponentials and S cost the banks
no time:

    inner  | score 0 | score 1 | context 0 | score 2 | context 1 | ...

The new token is written while its row is open for the score, or for the context.

Source: the layout, the commands and two heads that overlap in this way are AttAcc's (ASPLOS 2024; its public
simulator, bank level). The write is ours: it has none.
"""

from dataclasses import dataclass
from functools import cached_property

from l3sim.errors import InvalidInput
from l3sim.services.dram.command.geometry import Geometry
from l3sim.services.dram.command.kernel import Kernel
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.specs.rank import PseudoChannelConfig

#: Chunks that each buffer holds, and stages whose scores lie in the buffer die.
SLOTS, STAGES = 2, 2


@dataclass(frozen=True)
class GroupedGeometry(Geometry):
    """Sizes of one head on one channel; see the module.

    Attributes:
        stack_ids: whose groups add up outputs on their own.
    """

    stack_ids: int = 1

    @property
    def group_banks(self) -> int:
        """Banks of a group."""
        return self.banks // self.bank_groups

    @cached_property
    def token_columns(self) -> int:
        """Columns of one token's K, or V, in each bank of its group; the last may be padded."""
        return -(-self.head_size // (self.column_elements * self.group_banks))

    @cached_property
    def bank_dims(self) -> int:
        """Dimensions of V in one bank."""
        return self.token_columns * self.column_elements

    @cached_property
    def k_slots(self) -> int:
        """Tokens of K, or V, in one bank's row."""
        return self.bank_columns // self.token_columns

    @cached_property
    def k_row_tokens(self) -> int:
        """Tokens of K in a row of all banks."""
        return self.k_slots * self.bank_groups

    @cached_property
    def v_row_tokens(self) -> int:
        """The same of V."""
        return self.k_row_tokens

    def places(self, token: int) -> tuple[int, list[int], int]:
        """(row block, banks, first of `token_columns` columns) of a token's K, and of its V."""
        block, inside = divmod(token, self.k_row_tokens)
        slot, group = divmod(inside, self.bank_groups)
        banks = [group + i * self.bank_groups for i in range(self.group_banks)]
        return block, banks, slot * self.token_columns


@dataclass(frozen=True)
class Stage:
    """Tokens and queries of one head that are scored, then attended.

    Attributes:
        head: of the call, from 0. first, tokens: of the channel's part of the head. query: the first one.
        appends: whether the new token, its last one, is written here.
    """

    head: int
    first: int
    tokens: int
    query: int
    queries: int
    appends: bool


@dataclass(frozen=True)
class GroupedKernel(Kernel):
    """Everything that the program of a head depends on but the tokens."""

    geometry: GroupedGeometry

    @cached_property
    def shared_queries(self) -> int:
        """Queries whose Q, and S of two chunks, a unit's buffer holds."""
        at = self.geometry
        query = at.token_columns * at.unit_banks * at.column_bytes
        return self.pim.shared_buffer_bytes // at.units // (query + SLOTS * self.chunk_slots * ELEMENT_BYTES)

    @cached_property
    def result_queries(self) -> int:
        """Queries whose sums of two chunks, or outputs, a unit's result buffer holds."""
        sums = max(SLOTS * self.chunk_slots, self.geometry.bank_dims * self.geometry.unit_banks)
        return self.pim.result_buffer_bytes // (sums * self.pim.result_bytes)

    @cached_property
    def stage_queries(self) -> int:
        """Queries for which the buffers of a unit have room; none: not for one."""
        return min(self.geometry.queries, self.shared_queries, self.result_queries)

    @cached_property
    def chunk_slots(self) -> int:
        """Tokens of one bank in a chunk: of a row at most."""
        at = self.geometry
        return max(min(self.pim.chunk_tokens // at.bank_groups, at.k_slots), 1)

    @cached_property
    def shares_results(self) -> bool:
        """Whether the result buffer cannot hold two chunks of scores beside the outputs."""
        at, pim = self.geometry, self.pim
        sums = SLOTS * self.chunk_slots + at.bank_dims * at.unit_banks
        return sums * self.stage_queries * pim.result_bytes > pim.result_buffer_bytes

    @cached_property
    def segment_tokens(self) -> int:
        """Tokens whose scores the buffer die holds, of two stages, in whole rows; none: not even of one."""
        scores = self.pim.score_buffer_bytes // (STAGES * ELEMENT_BYTES * max(self.stage_queries, 1))
        return scores // self.row_tokens * self.row_tokens

    @cached_property
    def row_tokens(self) -> int:
        """Tokens of a row of all banks: the period of the command pattern."""
        return self.geometry.k_row_tokens

    def stages(self, head: int, tokens: int) -> list[Stage]:
        """Of one head, in order."""
        found = []
        for first in range(0, tokens, self.segment_tokens):
            count = min(self.segment_tokens, tokens - first)
            for query in range(0, self.geometry.queries, self.stage_queries):
                queries = min(self.stage_queries, self.geometry.queries - query)
                found.append(
                    Stage(head, first, count, query, queries, query == 0 and first + count == tokens)
                )
        return found

    def bursts(self, elements: int, size: int) -> int:
        """Bursts that bring so many elements of one unit, or take them away."""
        return -(-elements * size // self.geometry.column_bytes)


def grouped_kernel_of(pim: PseudoChannelConfig, model: ModelShape, queries_per_read: int) -> GroupedKernel:
    """The kernel of a job on a channel whose heads lie over its bank groups.

    Raises:
        InvalidInput: the head does not fit a row, or a buffer is too small; nothing is placed then.
    """
    at = GroupedGeometry(
        chips=1,
        bank_groups=pim.bank_groups,
        banks=pim.banks_per_chip,
        row_bytes=pim.row_bytes,
        column_bytes=pim.column_bytes,
        head_size=model.head_size,
        queries=model.queries_per_kv,
        chips_per_head=1,
        unit_banks=pim.unit_banks,
        stack_ids=pim.stack_ids,
    )
    if at.banks % at.bank_groups:
        raise InvalidInput(("bank_groups", f"{at.banks} banks do not form {at.bank_groups} groups"))
    if at.bank_groups % at.stack_ids:
        text = f"{at.bank_groups} bank groups cannot be shared by {at.stack_ids} stack ids; use a divisor"
        raise InvalidInput(("stack_ids", text))
    if at.token_columns > at.bank_columns:
        text = f"a row of {at.row_bytes} bytes cannot hold a token of {at.token_columns} columns a bank"
        raise InvalidInput(("row_bytes", f"{text}; use another model"))
    kernel = GroupedKernel(pim, at, min(queries_per_read, at.queries))
    if not kernel.result_queries:
        text = f"{pim.result_buffer_bytes} hold no chunk's sums, nor outputs, of one query; raise it"
        raise InvalidInput(("result_buffer_bytes", text))
    if not kernel.shared_queries:
        text = f"{pim.shared_buffer_bytes} over {at.units} units hold no Q and S of one query; raise it"
        raise InvalidInput(("shared_buffer_bytes", text))
    if not kernel.segment_tokens:
        text = f"{pim.score_buffer_bytes} hold no scores of {kernel.row_tokens} tokens"
        raise InvalidInput(("score_buffer_bytes", f"{text} for {at.queries} queries a KV head"))
    return kernel

"""Decode attention in DIMM-PIM at level `roofline`: what a head group costs, and a rank's sum of them.

A *head group* is the KV heads of one request and layer that fill a rank's chips in lockstep. Its time over t
tokens, the new one included (arXiv 2504.17584; docs/models.md):

    T = T_q + S + V + T_out + rows * (RCD + RP)
    S = max(T_comp, T_comm, T_exp)     q x K in the banks | sums to the rank PU | exponentials
    V = max(T_comp, T_S)               S x V in the banks | finished S back to the chips
    T_comp = ceil(t / N_bk) * E_h * ceil(N_gqa / N_cmr) / (B_bk * N_hc)
    T_comm = t * N_gqa * N_chips / B_rk             T_S = the same count of 2-byte elements
    T_exp  = t * N_gqa * (N_chips / N_hc) / softmax rate

Without pipelining each max is a sum. What the source leaves open, and our reading of it:
- T_q and T_out move the queries (2-byte elements) and the outputs (collected sums) of all heads of the group,
  N_gqa each, once over the rank's bus, and take a fixed pass cost each. V lies by dimensions over the
  banks, since S is broadcast to all of them; so an output is collected once and not once a bank.
- K and V open ceil(bytes / row) rows of each bank each, anew for every pass over the KV (ceil(N_gqa /
  N_cmr) passes). The opening is not hidden.
- A group whose heads do not fill the chips takes as long as a full one: the chips run in lockstep.
- With units at the rank (`pu: rank`) T_comp is K, or V, of all heads of the group over the rank's bus, once
  a pass; nothing is broadcast or collected. A row of all banks is opened at once, and that is not hidden.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from l3sim.device.attention.levels import TABLE_TOKENS
from l3sim.placement import Layout
from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.units import Floats, Int64s, ps


@dataclass(frozen=True)
class HeadGroup:
    """One head group on one kind of rank; equal ones cost the same.

    Attributes:
        queries: N_gqa. passes: ceil(N_gqa / N_cmr). chips_per_head: N_hc. heads: KV heads of the group.
        bank_elements_per_s: B_bk, FP16 elements. rank_bytes_per_s: the rank's bus.
        at_rank: the units sit at the rank and not at the banks.
    """

    head_size: int
    queries: int
    passes: int
    heads: int
    chips: int
    chips_per_head: int
    banks: int
    row_bytes: int
    result_bytes: int
    bank_elements_per_s: float
    rank_bytes_per_s: float
    softmax_elements_per_s: float
    pass_s: float
    row_s: float
    pipelining: bool
    at_rank: bool

    def compute_s(self, tokens: Int64s) -> Floats:
        """T_comp: one pass of all banks over K, or over V."""
        if self.at_rank:
            return tokens * (self.token_bytes * self.passes) / self.rank_bytes_per_s
        elements = -(-tokens // self.banks) * (self.head_size * self.passes)
        return elements / (self.bank_elements_per_s * self.chips_per_head)

    def collect_s(self, tokens: Int64s) -> Floats:
        """T_comm: partial sums from the chips to the rank PU."""
        sums = 0 if self.at_rank else self.queries * self.chips
        return tokens * (sums * self.result_bytes) / self.rank_bytes_per_s

    def softmax_s(self, tokens: Int64s) -> Floats:
        """T_exp: the rank PU's exponentials."""
        return tokens * (self.queries * self.heads) / self.softmax_elements_per_s

    def stream_s(self, tokens: Int64s) -> Floats:
        """T_S: finished S elements from the rank PU to the chips."""
        elements = 0 if self.at_rank else self.queries * self.chips
        return tokens * (elements * ELEMENT_BYTES) / self.rank_bytes_per_s

    @property
    def token_bytes(self) -> int:
        """K, or V, of one token and all heads of the group."""
        return self.heads * self.head_size * ELEMENT_BYTES

    @cached_property
    def ends_s(self) -> float:
        """T_q + T_out."""
        elements = 0 if self.at_rank else self.heads * self.queries * self.head_size
        return elements * (ELEMENT_BYTES + self.result_bytes) / self.rank_bytes_per_s + 2 * self.pass_s

    def rows(self, tokens: Int64s) -> Int64s:
        """Rows that one bank opens for K and V together."""
        if self.at_rank:
            return -(-tokens * self.token_bytes // (self.chips * self.banks * self.row_bytes)) * 2
        row_bytes = -(-tokens // self.banks) * (self.head_size * ELEMENT_BYTES)
        return -(-row_bytes // (self.chips_per_head * self.row_bytes)) * (2 * self.passes)

    def cost_s(self, tokens: Int64s) -> Floats:
        """T: seconds over each count of tokens (the new one included), any shape."""
        compute, collect = self.compute_s(tokens), self.collect_s(tokens)
        softmax, stream = self.softmax_s(tokens), self.stream_s(tokens)
        if self.pipelining:
            score = np.maximum(np.maximum(compute, collect), softmax)
            context = np.maximum(compute, stream)
        else:
            score = compute + collect + softmax
            context = compute + stream
        return score + context + self.ends_s + self.rows(tokens) * self.row_s


def head_group(pim: DimmPimConfig, model: ModelShape, layout: Layout) -> HeadGroup:
    """The head group of a model on a rank of a module."""
    return HeadGroup(
        head_size=model.head_size,
        queries=model.queries_per_kv,
        passes=-(-model.queries_per_kv // layout.queries_per_read),
        heads=layout.heads_per_group,
        chips=pim.chips_per_rank,
        chips_per_head=layout.chips_per_head,
        banks=pim.banks_per_chip,
        row_bytes=pim.row_bytes,
        result_bytes=pim.result_bytes,
        bank_elements_per_s=pim.bank_bytes_per_s / ELEMENT_BYTES,
        rank_bytes_per_s=pim.rank_bytes_per_s,
        softmax_elements_per_s=pim.softmax_elements_per_s,
        pass_s=pim.pass_overhead_ns / 1e9,
        row_s=pim.row_cycle_ns / 1e9,
        pipelining=pim.pipelining,
        at_rank=pim.pu == "rank",
    )


class GroupCosts:
    """Picoseconds of a head group by tokens: each is converted once, and then looked up.

    Raises:
        ValueError: one token costs more than `units.MAX_COST_PS`.
    """

    def __init__(self, group: HeadGroup) -> None:
        self.group = group
        self._table: Int64s = ps(group.cost_s(np.arange(2)))

    def at(self, tokens: Int64s, most: int) -> Int64s:
        """Costs of counts of tokens, any shape, none above `most`.

        Raises:
            ValueError: one of them is above `units.MAX_COST_PS`.
        """
        if most >= TABLE_TOKENS:
            return ps(self.group.cost_s(tokens))
        if most >= len(self._table):
            size = min(max(2 * most, 4096), TABLE_TOKENS)
            self._table = ps(self.group.cost_s(np.arange(size)))
        return self._table.take(tokens)

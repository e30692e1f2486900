"""Decode attention of one head in an HBM stack with processing units, at level `roofline`.

    pseudo channel 0 .. n-1      bank: a unit beside each bank          n * banks units
      [bank][bank].. [bank]      bank-group: one for the banks of       n * groups
        |      |       |         a group; buffer: one at the pads       n
      ------- TSVs ------------- buffer die: softmax, adders

A head has the units of its channel, or those of the whole stack (`mapping: striped`). Its tokens spread
over `ways`: `striped` over the units; `head_per_channel` over the bank groups, whose banks share a token's
elements. Over t tokens, the new one included:

    T = T_q + max(T_comp, T_exp) + T_comp + T_out + rows * (RCD + RP)
    T_comp = ceil(t / ways) * bytes of a token in a unit * passes / unit rate
    T_exp = t * N_gqa / softmax rate

with passes = ceil(N_gqa / N_cmr), and T_q + T_out of 2-byte elements over the stack's bus with a fixed pass
cost each. A unit opens ceil(bytes / row) rows for K and as many for V, anew for each pass, unhidden. The same
reading of arXiv 2504.17584 as that of the DIMM modules, but that sums stay inside the stack: they move over
its TSVs, which are assumed to keep up.
"""

from dataclasses import dataclass

import numpy as np

from l3sim.placement import Layout
from l3sim.services.hbm_pim.energy import read_pj_per_bit
from l3sim.specs.config import HbmPimConfig
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.units import Floats, Int64s


@dataclass(frozen=True)
class Head:
    """One KV head of a request and layer on one stack."""

    queries: int
    passes: int
    units: int
    ways: int
    way_bytes: int  # of a token's K, or V, in one unit; what does not fill columns is padded
    token_pj: float  # a token of context
    unit_bytes_per_s: float
    row_bytes: int
    row_s: float
    softmax_elements_per_s: float
    ends_s: float  # T_q + T_out

    @classmethod
    def of(cls, hbm: HbmPimConfig, model: ModelShape, layout: Layout) -> "Head":
        """The head of a model on a stack."""
        passes = -(-model.queries_per_kv // layout.queries_per_read)
        ways, way_bytes = _spread(hbm, model)
        units = hbm.units // hbm.heads_at_once
        # All units on all ways read their part of a token, K and V.
        bits = 2 * passes * way_bytes * (units // ways if hbm.mapping != "striped" else 1) * 8
        logic = 2 * model.queries_per_kv * (model.head_size * hbm.mac_pj + hbm.softmax_pj)
        ends_bytes = 2 * model.queries_per_kv * model.head_size * ELEMENT_BYTES
        return cls(
            queries=model.queries_per_kv,
            passes=passes,
            units=units,
            ways=ways,
            way_bytes=way_bytes,
            token_pj=bits * read_pj_per_bit(hbm) + logic,
            unit_bytes_per_s=hbm.unit_bytes_per_s,
            row_bytes=hbm.channel.row_bytes,
            row_s=(hbm.channel.rcd_tck + hbm.channel.rp_tck) * hbm.channel.tck_ps / 1e12,
            softmax_elements_per_s=hbm.softmax_elements_per_s / hbm.heads_at_once,
            ends_s=ends_bytes * hbm.heads_at_once / hbm.bus_bytes_per_s + 2 * hbm.pass_overhead_ns / 1e9,
        )

    def unit_bytes(self, tokens: Int64s) -> Int64s:
        """K, or V, that one unit reads in a pass."""
        return -(-tokens // self.ways) * self.way_bytes

    def compute_s(self, tokens: Int64s) -> Floats:
        """T_comp."""
        seconds: Floats = self.unit_bytes(tokens) * self.passes / self.unit_bytes_per_s
        return seconds

    def softmax_s(self, tokens: Int64s) -> Floats:
        """T_exp."""
        return tokens * self.queries / self.softmax_elements_per_s

    def rows(self, tokens: Int64s) -> Int64s:
        """Rows that one unit opens for K and V together."""
        return -(-self.unit_bytes(tokens) // self.row_bytes) * (2 * self.passes)

    def cost_s(self, tokens: Int64s) -> Floats:
        """T over each count of tokens (the new one included), any shape."""
        compute = self.compute_s(tokens)
        opening = self.rows(tokens) * self.row_s
        seconds: Floats = np.maximum(compute, self.softmax_s(tokens)) + compute + opening + self.ends_s
        return seconds


def _spread(hbm: HbmPimConfig, model: ModelShape) -> tuple[int, int]:
    """(ways, bytes of a token in a unit) of a head."""
    token_bytes = model.head_size * ELEMENT_BYTES
    units = hbm.units // hbm.heads_at_once
    if hbm.mapping == "striped" or hbm.pu == "buffer":
        return units, token_bytes
    groups = hbm.channel.bank_groups
    banks = hbm.banks // groups
    column = hbm.channel.column_bytes
    shared = 1 if hbm.pu == "bank" else banks
    return hbm.head_pseudo_channels * groups, -(-token_bytes // (banks * column)) * column * shared

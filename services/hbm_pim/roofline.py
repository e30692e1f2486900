"""Decode attention of one head in an HBM stack with processing units, at level `roofline`.

    pseudo channel 0 .. n-1      bank: a unit beside each bank          n * banks units
      [bank][bank].. [bank]      bank-group: one for the banks of       n * groups
        |      |       |         a group; buffer: one at the pads       n
      ------- TSVs ------------- buffer die: softmax, adders

Tokens of K spread over the units, dimensions of V likewise, so that all work on any head. Over t tokens, the
new one included:

    T = T_q + max(T_comp, T_exp) + T_comp + T_out + rows * (RCD + RP)
    T_comp = ceil(t / units) * E_h * 2 B * passes / unit rate        T_exp = t * N_gqa / softmax rate

with passes = ceil(N_gqa / N_cmr), and T_q + T_out of 2-byte elements over the stack's bus with a fixed pass
cost each. A unit opens ceil(bytes / row) rows for K and as many for V, anew for each pass, unhidden. The same
reading of arXiv 2504.17584 as that of the DIMM modules, but that sums stay inside the stack: they move over
its TSVs, which are assumed to keep up.
"""

from dataclasses import dataclass

import numpy as np

from l3sim.placement import Layout
from l3sim.specs.config import HbmPimConfig
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.units import Floats, Int64s


@dataclass(frozen=True)
class Head:
    """One KV head of a request and layer on one stack."""

    token_bytes: int  # of K, or of V
    queries: int
    passes: int
    units: int
    unit_bytes_per_s: float
    row_bytes: int
    row_s: float
    softmax_elements_per_s: float
    ends_s: float  # T_q + T_out

    @classmethod
    def of(cls, hbm: HbmPimConfig, model: ModelShape, layout: Layout) -> "Head":
        """The head of a model on a stack."""
        ends_bytes = 2 * model.queries_per_kv * model.head_size * ELEMENT_BYTES
        return cls(
            token_bytes=model.head_size * ELEMENT_BYTES,
            queries=model.queries_per_kv,
            passes=-(-model.queries_per_kv // layout.queries_per_read),
            units=hbm.units,
            unit_bytes_per_s=hbm.unit_bytes_per_s,
            row_bytes=hbm.channel.row_bytes,
            row_s=(hbm.channel.rcd_tck + hbm.channel.rp_tck) * hbm.channel.tck_ps / 1e12,
            softmax_elements_per_s=hbm.softmax_elements_per_s,
            ends_s=ends_bytes / hbm.bus_bytes_per_s + 2 * hbm.pass_overhead_ns / 1e9,
        )

    def unit_bytes(self, tokens: Int64s) -> Int64s:
        """K, or V, that one unit reads in a pass."""
        return -(-tokens // self.units) * self.token_bytes

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

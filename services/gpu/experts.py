"""Mixture of experts: how much of a layer's FFN a pass touches, and what that costs.

A router sends each token to k of E experts. We take its choices as uniform and independent, so that an expert
is left alone by one token with probability 1 - k/E, and by all of n tokens with its n-th power:

    touched = E (1 - (1 - k/E)^n)      expected number of distinct experts: their weights are read, once
    picks   = n k                      rows of work, spread evenly over the touched experts

    E = 8, k = 2:   n = 1 -> 2      n = 4 -> 5.5      n = 16 -> 7.9      n = 256 -> 8

Few tokens read few weights, which is why a mixture decodes fast, and a batch soon reads nearly all of them.
True routers are not uniform: skew touches fewer experts and makes the busiest one the slowest; neither is
modelled. All experts run in one grouped kernel, which costs what a level says of one GEMM with the weights of
the touched experts side by side and as many rows as each of them has: the same multiplications, weights and
outputs. Each expert is split over the group's GPUs as a dense FFN is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from l3sim.services.gpu.kernels import Gemm, Kernel, Level, Spent, Stream


@dataclass(frozen=True)
class ExpertGemm:
    """Rows of width `k`, each times the weights k x n of `per_token` of `experts` experts; widths by name."""

    name: str
    k: str
    n: str
    experts: int
    per_token: int
    sampled: bool = False

    def spent(self, rows: int, widths: Mapping[str, int], level: Level) -> Spent | None:
        """See Kernel."""
        experts = touched(rows, self.experts, self.per_token)
        rows_each = max(1, int(rows * self.per_token / experts + 0.5))
        return level.gemm(rows_each, widths[self.k], int(experts * widths[self.n] + 0.5))


def mixture(experts: int, per_token: int) -> Sequence[Kernel]:
    """The FFN of a mixture of experts; its last kernel adds up what each token's experts gave."""
    return (
        Gemm("router", "hidden", "experts"),
        Stream("top_k", {"experts": 2}),
        ExpertGemm("ffn_up", "hidden", "ffn_up", experts, per_token),
        Stream("activation", {"ffn_up": per_token, "ffn": per_token}),
        ExpertGemm("ffn_down", "ffn", "hidden", experts, per_token),
        Stream("combine", {"hidden": per_token + 1}),
    )


def touched(tokens: int, experts: int, per_token: int) -> float:
    """Expected number of distinct experts that `tokens` tokens choose."""
    alone = (experts - per_token) / experts
    return experts * (1 - power(alone, tokens))


def power(base: float, exponent: int) -> float:
    """base ** exponent by squaring: products only, so that every computer gives the same bits."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result

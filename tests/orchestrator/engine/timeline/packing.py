"""Costs of rounds from arrays of their own."""

import numpy as np

from l3sim.orchestrator.engine.timeline import RoundCosts
from l3sim.units import Int64s


def packed(
    b_first: Int64s,
    b_mid: Int64s,
    b_last: Int64s,
    p: Int64s,
    d: Int64s,
    a: Int64s,
    u: Int64s,
    kv: Int64s,
    unchunked: np.ndarray,
) -> RoundCosts:
    """`RoundCosts` of these: blocks and p of shape (k, 2), tables of shape (k, 2, R, R)."""
    costs = RoundCosts.nothing(len(b_first), d.shape[2])
    parts = (b_first, b_mid, b_last, p, d, a, u, kv)
    views = (costs.b_first, costs.b_mid, costs.b_last, costs.p, costs.d, costs.a, costs.u, costs.kv)
    for view, part in zip(views, parts, strict=True):
        view[:] = part
    costs.unchunked[:] = unchunked
    return costs

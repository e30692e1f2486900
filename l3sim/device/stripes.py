"""Where KV lies in stripes over ranks (`l3sim.placement`): how many ranks a window's requests attend on."""

import numpy as np

from l3sim.placement import Layout
from l3sim.units import Int64s


def differing_rounds(layout: Layout, context: Int64s, rounds: int) -> int:
    """Rounds of a window that differ in what moves: 1, or all, where a stripe begins after the first of them.

    Args:
        context: tokens that decoding requests hold before the first round, shape (n,).
    """
    until = -context % layout.stripe_tokens  # rounds until the new token is the first of a stripe
    until = np.where(until == 0, layout.stripe_tokens, until)
    return rounds if len(until) and int(until.min()) < rounds else 1


def partial_results(layout: Layout, context: Int64s, rounds: int) -> tuple[Int64s, Int64s]:
    """Partial results of a head group, of all requests that have several; and how many these requests are.

    Args:
        context: as for `differing_rounds`. rounds: to count.

    Returns: two arrays of shape (rounds,).
    """
    held = layout.ranks_held(context[:, None] + np.arange(1, rounds + 1))
    several = held > 1
    return np.where(several, held, 0).sum(axis=0), several.sum(axis=0)

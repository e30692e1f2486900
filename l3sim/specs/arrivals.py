"""When requests arrive, and how urgent they are: drawn beside their lengths, each from its own stream."""

import math
from fractions import Fraction

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.units import PS_PER_S, Int64s, ps_of

#: No request may arrive later than this: a quarter of what int64 holds, so that sums of times fit as well.
LAST_PS = 2**61


def arrivals_ps(count: int, rate: float, seed: int, cv: float | None = None) -> Int64s:
    """Arrival times of a Poisson process, or of one with gamma gaps of this `cv`; the first at time 0.

    Gamma gaps of shape 1 / cv^2 and mean 1 / rate have the coefficient of variation cv; 1 is Poisson.

    Raises:
        InvalidInput: the rate is so small that times leave the clock.
    """
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(1,))))
    if cv is None:
        gaps_s = stream.standard_exponential(count) / rate
    else:
        gaps_s = stream.standard_gamma(1 / cv**2, count) * cv**2 / rate
    if float(gaps_s.sum()) > 10**6:
        raise InvalidInput(("workload.rate", f"{rate} requests a second spread {count} requests too far"))
    gaps = ps_of(gaps_s)
    gaps[0] = 0
    return np.cumsum(gaps)


def scaled_ps(arrival_ps: Int64s, speed: float) -> Int64s:
    """Trace times divided by `speed`, rounded half up to picoseconds, exactly.

    Raises:
        InvalidInput: the last one leaves the clock.
    """
    if speed == 1.0:
        return arrival_ps
    factor = Fraction(repr(speed))
    top, bottom = factor.numerator, factor.denominator
    scaled = [(2 * int(time) * bottom + top) // (2 * top) for time in arrival_ps]
    if scaled and scaled[-1] > LAST_PS:
        raise InvalidInput(("workload.speed", f"{speed} stretches the trace beyond {LAST_PS // PS_PER_S} s"))
    return np.array(scaled, dtype=np.int64)


def check_priorities(shares: tuple[tuple[int, float], ...], most: int) -> None:
    """Refuse levels above `most`, shares that are none, and a level that comes twice.

    Raises:
        InvalidInput: naming the level.
    """
    for level, share in shares:
        if not 0 <= level <= most:
            raise InvalidInput(("workload.priorities", f"a priority must be 0 to {most}, got {level}"))
        if not (math.isfinite(share) and share > 0):
            raise InvalidInput(("workload.priorities", f"the share of {level} must be above 0, got {share}"))
    if len({level for level, _ in shares}) < len(shares):
        raise InvalidInput(("workload.priorities", "a priority has two shares; give each once"))


def draw_priorities(shares: tuple[tuple[int, float], ...], count: int, seed: int) -> Int64s:
    """A priority for each request, drawn by share: shape (count,)."""
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(5,))))
    upto = np.cumsum([share for _, share in shares])
    levels = np.array([level for level, _ in shares], dtype=np.int64)
    place = np.searchsorted(upto, stream.random(count) * upto[-1], side="right")
    drawn: Int64s = levels[np.minimum(place, len(levels) - 1)]
    return drawn

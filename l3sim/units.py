"""Integer picoseconds and nanojoules: the one place where floats become integers.

Absolute virtual time never enters a float. A model computes a *cost* in float64, converts it here once,
and everything after is integer, so that sums and comparisons are exact and the same on any computer.
"""

from typing import overload

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]

PS_PER_S = 10**12
PS_PER_US = 10**6
NJ_PER_J = 10**9
GIB = 2**30

#: int64 holds 106 days of picoseconds; a cost above a tenth of that is a mistake in a model.
MAX_COST_PS = 10**18


@overload
def ps(seconds: float) -> int: ...
@overload
def ps(seconds: Floats) -> Int64s: ...
def ps(seconds: float | Floats) -> int | Int64s:
    """Turn a cost in seconds into picoseconds: round half up, at least 1.

    Raises:
        ValueError: a cost is negative, not finite, or above `MAX_COST_PS`.
    """
    scaled = np.asarray(seconds, dtype=np.float64) * PS_PER_S
    if not bool(np.all((scaled >= 0) & (scaled <= MAX_COST_PS))):
        raise ValueError(f"a cost must be finite, at least 0 and at most {MAX_COST_PS} ps, got {seconds!r} s")
    whole = np.maximum(np.floor(scaled + 0.5), 1).astype(np.int64)
    return int(whole) if whole.ndim == 0 else whole


@overload
def ps_of(amount: float, unit_ps: int = PS_PER_S) -> int: ...
@overload
def ps_of(amount: Floats, unit_ps: int = PS_PER_S) -> Int64s: ...
def ps_of(amount: float | Floats, unit_ps: int = PS_PER_S) -> int | Int64s:
    """Turn a time as people write it into picoseconds: round half up; unlike a cost it may be 0.

    Args:
        amount: in seconds, or in the unit given.
        unit_ps: picoseconds of that unit.
    """
    whole = np.floor(np.asarray(amount, dtype=np.float64) * unit_ps + 0.5).astype(np.int64)
    return int(whole) if whole.ndim == 0 else whole


def nj(watts: float, duration_ps: Int64s) -> Int64s:
    """Energy of durations at a constant power, in nanojoules: round half up, per element.

    The power enters as whole milliwatts, so that the product stays integer: 1 mW for 1e6 ps is 1 pJ.
    """
    milliwatts = round(watts * 1000)
    # mW * ps = 1e-15 J = 1e-6 nJ; split so that 106 days times 1 MW cannot overflow.
    # (// and * rather than divmod: numpy does them four times as fast.)
    whole = duration_ps // PS_PER_US
    rest = duration_ps - whole * PS_PER_US
    result: Int64s = whole * milliwatts + (rest * milliwatts + PS_PER_US // 2) // PS_PER_US
    return result


def seconds(duration_ps: int) -> float:
    """Picoseconds as seconds, for people to read; correctly rounded."""
    return int(duration_ps) / PS_PER_S


def joules(energy_nj: int) -> float:
    """Nanojoules as joules, for people to read; correctly rounded."""
    return int(energy_nj) / NJ_PER_J

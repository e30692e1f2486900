"""Sums and exponentials made of single IEEE operations, so that they are the same bits on any computer.

numpy's own sum and exp choose their order, and their last bit, by the processor that they run on.
"""

from math import factorial, log
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Halves = NDArray[np.float16]
Singles = NDArray[np.float32]
#: FP16, FP32 or FP64: what a bank's unit accumulates in.
Sums = NDArray[np.floating[Any]]

Width = TypeVar("Width", bound=np.floating[Any])

_LN2 = log(2)
#: exp(r) = sum r^k / k!, highest first; for |r| <= ln 2 / 2 the rest is below 1e-14.
_SERIES = tuple(1 / factorial(k) for k in range(11, -1, -1))
#: exp of less is 0 in FP32.
_LEAST = -150.0


def add_up(terms: NDArray[Width]) -> NDArray[Width]:
    """Add along the first axis as a tree of adders does: neighbours first; each addition rounds once."""
    while len(terms) > 1:
        odd = terms[-1:] if len(terms) % 2 else terms[:0]
        even = len(terms) // 2 * 2
        terms = np.concatenate([terms[0:even:2] + terms[1:even:2], odd])
    total: NDArray[Width] = terms[0]
    return total


def exponential(x: Singles) -> Singles:
    """exp(x) for x <= 0 in FP32, off by half a unit in the last place and a millionth of one.

    x = n ln 2 + r; exp(r) by its series in FP64, scaled by 2^n, rounded once.
    """
    wide = np.maximum(x.astype(np.float64), _LEAST)
    n = np.rint(wide / _LN2)
    r = wide - n * _LN2
    value = np.full_like(r, _SERIES[0])
    for term in _SERIES[1:]:
        value = value * r + term
    scaled: Singles = np.ldexp(value, np.nan_to_num(n).astype(np.int32)).astype(np.float32)
    return scaled

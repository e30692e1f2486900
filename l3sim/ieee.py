"""Exponentials made of single IEEE operations, so that they are the same bits on any computer.

numpy's own chooses its last bit by the processor that it runs on.
"""

from math import factorial, log

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

_LN2 = log(2)
#: exp(r) = sum r^k / k!, highest first; for |r| <= ln 2 / 2 the rest is below 1e-14.
_SERIES = tuple(1 / factorial(k) for k in range(11, -1, -1))
#: exp of less is 0 in FP32.
_LEAST = -150.0


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

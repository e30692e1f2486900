"""Least squares with two coefficients, in plain arithmetic: the same bits on any computer."""

import numpy as np

from l3sim.jit import jit
from l3sim.units import Floats

#: Below this share of the determinant's largest value the two columns say the same.
_SINGULAR = 1e-9


@jit(cache=True, example=lambda: (np.zeros(1), np.zeros(1), np.zeros(1)))
def fit(first: Floats, second: Floats, values: Floats) -> tuple[float, float]:
    """(a, b), at least 0, of values = a * first + b * second, shape (n,); (nan, nan) where undetermined.

    Undetermined: fewer than two samples, or columns that are in proportion to each other. Where a
    coefficient comes out negative, it is 0 and the other one is fitted alone.
    """
    aa = ab = bb = ay = by = 0.0
    for index in range(len(values)):
        aa += first[index] * first[index]
        ab += first[index] * second[index]
        bb += second[index] * second[index]
        ay += first[index] * values[index]
        by += second[index] * values[index]
    determinant = aa * bb - ab * ab
    if len(values) < 2 or not determinant > _SINGULAR * aa * bb:
        return np.nan, np.nan
    a, b = (ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant
    if a < 0.0:
        return 0.0, by / bb
    if b < 0.0:
        return ay / aa, 0.0
    return a, b

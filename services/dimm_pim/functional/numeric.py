"""Sums made of single IEEE operations, so that they are the same bits on any computer; as in `l3sim.ieee`.

numpy's own sum chooses its order by the processor that it runs on.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Halves = NDArray[np.float16]
Singles = NDArray[np.float32]
#: FP16, FP32 or FP64: what a bank's unit accumulates in.
Sums = NDArray[np.floating[Any]]

Width = TypeVar("Width", bound=np.floating[Any])


def add_up(terms: NDArray[Width]) -> NDArray[Width]:
    """Add along the first axis as a tree of adders does: neighbours first; each addition rounds once."""
    while len(terms) > 1:
        odd = terms[-1:] if len(terms) % 2 else terms[:0]
        even = len(terms) // 2 * 2
        terms = np.concatenate([terms[0:even:2] + terms[1:even:2], odd])
    total: NDArray[Width] = terms[0]
    return total

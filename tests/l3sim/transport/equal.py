"""Equality of dataclasses that hold arrays."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def same(left: Any, right: Any) -> bool:
    """Whether two values that cross a port are equal: type, shape, dtype, every element."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return (
            isinstance(left, np.ndarray)
            and isinstance(right, np.ndarray)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and bool((left == right).all())
        )
    if is_dataclass(left) and not isinstance(left, type):
        return type(left) is type(right) and all(
            same(getattr(left, field.name), getattr(right, field.name)) for field in fields(left)
        )
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)

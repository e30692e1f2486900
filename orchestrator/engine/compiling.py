"""How the orchestrator compiles its loops: numba, kept on disk, floats in the order as written."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


_OPTIONS: Mapping[str, Any] = {"nogil": True, "error_model": "numpy"}


def compiled(function: F) -> F:
    """Compile and keep. No fast-math, so that results are the same on any computer."""
    return cast(F, numba.njit(**_OPTIONS, cache=True)(function))


def lean(function: F) -> F:
    """Compile a part that makes no array, for callers that hold those it is given.

    Counting references to them, at each of many small functions, takes longer than the work.
    """
    return cast(F, numba.njit(**_OPTIONS, _nrt=False)(function))

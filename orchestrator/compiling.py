"""How the orchestrator compiles its loops: numba, kept on disk, floats in the order as written."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile and keep. No fast-math, so that results are the same on any computer."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))

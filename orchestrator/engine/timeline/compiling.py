"""How the walk is compiled."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast
from zlib import crc32

import numba

_OPTIONS: Mapping[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a part of the walk. All is integer, so there is no fast-math to allow.

    The error model only leaves out checks for division by zero (nothing divides by anything but R, a
    number of layers or a constant), so no branch raises; and as nothing here makes an array, while whoever
    calls holds those that it gives, no references are counted. Together with inlining the walk is four
    times faster.
    """
    return cast(F, numba.njit(**_OPTIONS)(function))


def inlined(function: F) -> F:
    """Compile a part that every task goes through into its callers; see `compiled`."""
    return cast(F, numba.njit(**_OPTIONS, forceinline=True)(function))


def kept(function: F) -> F:
    """Compile the whole walk, and keep it on disk."""
    return cast(F, numba.njit(**_OPTIONS, cache=True)(function))


def sources() -> int:
    """A number that changes with any source file of this package.

    Numba looks only at the file of the kept function; this number, closed over, makes it see the others.
    """
    return crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))

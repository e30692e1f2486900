"""How the walk is compiled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast
from zlib import crc32

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a part of the walk. All is integer, so there is no fast-math to allow.

    The error model only leaves out checks for division by zero (nothing divides by anything but R, a
    number of layers or a constant). Then no branch raises and few references are counted: together with
    inlining the walk is four times faster.
    """
    return cast(F, numba.njit(nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """Compile a part that every task goes through into its callers; see `compiled`."""
    return cast(F, numba.njit(nogil=True, error_model="numpy", forceinline=True)(function))


def kept(function: F) -> F:
    """Compile the whole walk, and keep it on disk."""
    return cast(F, numba.njit(nogil=True, error_model="numpy", cache=True)(function))


def sources() -> int:
    """A number that changes with any source file of this package.

    Numba looks only at the file of the kept function; this number, closed over, makes it see the others.
    """
    return crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))

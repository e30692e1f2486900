"""How loops are compiled, by numba: one decorator with explicit options, and a registry that warms them all.

An *entry* is called from Python. It is kept on disk (`cache=True`) and brings an example of its arguments, so
that `warm` compiles or loads it before anything waits for it; without one it cannot be declared. A *part* is
called by other compiled functions only, and is compiled into them.

Nothing is compiled with fast-math, so results are the same on any computer. The error model only leaves out
checks for division by zero, which no loop here can meet.

numba keeps an entry for as long as its own file is the same. But what an entry calls, and the constants that
it reads, lie in other files too. So each entry closes over `sources`, a number that changes with any of them;
numba compares what is closed over.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import EnumType
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, TypeVar, cast
from zlib import crc32

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

#: Makes the arguments of one call, of the types that jobs give.
Example = Callable[[], tuple[Any, ...]]


@dataclass
class Kernel:
    """A compiled function.

    Attributes:
        name: module and function.
        compiled: numba's dispatcher.
        sources: see `sources`, with these options.
        example: of an entry; None: it is a part.
        is_warm: the example has been called in this process.
    """

    name: str
    compiled: Any
    options: Mapping[str, Any]
    sources: int
    example: Example | None
    is_warm: bool = False


#: All compiled functions of the modules imported so far, by dispatcher.
KERNELS: dict[Any, Kernel] = {}
_lock = threading.Lock()


def jit(
    *, cache: bool = False, no_refs: bool = False, inline: bool = False, example: Example | None = None
) -> Callable[[F], F]:
    """Compile a function: `@jit(cache=True, example=...)` an entry, `@jit()` a part.

    Args:
        cache: called from Python, and kept on disk.
        no_refs: count no references to arrays. For functions that make none and whose callers hold those that
            they give; counting takes longer than the work where there are many small functions.
        inline: compile it into each caller: for what every step goes through.
        example: makes the arguments of one call, anew each time, since the call may write to them.

    Raises:
        TypeError: an entry without an example, that is to be inlined or that closes over variables; or a part
            with an example.
    """

    def decorate(function: F) -> F:
        name = f"{function.__module__}.{function.__qualname__}"
        _check(name, function, cache, inline, example)
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
        if no_refs:
            options["_nrt"] = False
        if inline:
            options["forceinline"] = True
        number = sources(function, options)
        if cache:
            compiled = numba.njit(**options, cache=True)(_closed_over(number, function))
        else:
            compiled = numba.njit(**options)(function)
        KERNELS[compiled] = Kernel(name, compiled, options, number, example)
        return cast(F, compiled)

    return decorate


def warm() -> None:
    """Compile, or load from numba's cache, every entry imported so far that is not warm yet.

    The first time on a computer this takes ten seconds or more; from the cache well under one.
    """
    with _lock:
        for kernel in list(KERNELS.values()):
            if kernel.example is not None and not kernel.is_warm:
                kernel.compiled(*kernel.example())
                kernel.is_warm = True


def sources(function: Any, options: Mapping[str, Any]) -> int:
    """A number of all that goes into a compiled function: its code, what it calls, the constants it reads."""
    content = [sorted(options.items()), *_content(function.__code__, function.__globals__)]
    return crc32(repr(content).encode())


def _check(name: str, function: Any, cache: bool, inline: bool, example: Example | None) -> None:
    if cache and example is None:
        raise TypeError(f"{name} is called from Python: give an example of its arguments to warm it by")
    if cache and inline:
        raise TypeError(f"{name} is called from Python: it cannot be inlined")
    if cache and function.__closure__:
        raise TypeError(f"{name} closes over variables: pass them, or make them constants of its module")
    if example is not None and not cache:
        raise TypeError(f"{name} is no entry: give it cache=True, or no example")


def _closed_over(number: int, function: Any) -> Any:
    """The same function, with one free variable more, which it never reads."""
    code = function.__code__.replace(co_freevars=("_sources",))
    twin = FunctionType(code, function.__globals__, closure=(CellType(number),))
    for name in ("__module__", "__qualname__", "__doc__"):
        setattr(twin, name, getattr(function, name))
    return twin


def _content(code: CodeType, names: Mapping[str, Any]) -> Iterator[object]:
    """A function's code and the values of what it names, whose `repr` is the same in every process."""
    yield code.co_code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _content(constant, names)
        else:
            yield sorted(constant) if isinstance(constant, frozenset) else constant
    for name in code.co_names:
        if name in names:
            yield name, *_value(names[name], code)


def _value(value: Any, code: CodeType) -> Iterator[object]:
    """What stands for a value; for a module, those of its constants that the code names."""
    if isinstance(value, int | float | str | tuple):
        yield value
    elif isinstance(value, ModuleType):
        for name in code.co_names:
            if not isinstance(vars(value).get(name), ModuleType):
                yield name, *_value(vars(value).get(name), code)
    elif isinstance(value, np.ndarray):
        yield value.tolist()
    elif isinstance(value, EnumType):
        yield list(value)
    elif isinstance(value, type):
        yield getattr(value, "_fields", value.__qualname__)
    elif numba.extending.is_jitted(value):
        yield KERNELS[value].sources

"""What may be compiled and how; that the cache sees other files; that warming calls every entry, once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

# For their kernels: all modules of ours that declare any.
import l3sim.orchestrator.run.job
import l3sim.services.dram.command.engine  # noqa: F401
from l3sim import jit
from tests.root import ROOT

NUMBERS = np.arange(3)


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Kernels of a test are forgotten after it."""
    before = dict(jit.KERNELS)
    yield
    jit.KERNELS.clear()
    jit.KERNELS.update(before)


def double(x: Any) -> Any:
    return 2 * x


def test_an_entry_needs_an_example() -> None:
    with pytest.raises(TypeError, match=r"test_jit\.double is called from Python: give an example"):
        jit.jit(cache=True)(double)
    assert all(kernel.name != f"{__name__}.double" for kernel in jit.KERNELS.values())


def test_what_else_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be inlined"):
        jit.jit(cache=True, inline=True, example=lambda: (1,))(double)
    with pytest.raises(TypeError, match="is no entry: give it cache=True, or no example"):
        jit.jit(example=lambda: (1,))(double)
    factor = NUMBERS.size

    def times(x: int) -> int:
        return factor * x

    with pytest.raises(TypeError, match=r"times closes over variables: pass them"):
        jit.jit(cache=True, example=lambda: (1,))(times)


@pytest.mark.parametrize("options", [{}, {"no_refs": True}, {"no_refs": True, "inline": True}])
def test_parts_compute_what_is_written(options: dict[str, Any]) -> None:
    assert jit.jit(**options)(double)(21) == 42


def test_an_entry_is_still_the_function_that_was_written() -> None:
    entry: Any = jit.jit(cache=True, example=lambda: (1,))(double)
    assert entry(21) == entry.py_func(21) == 42
    assert (entry.__name__, entry.__module__, entry.__doc__) == ("double", __name__, double.__doc__)


def test_warming_calls_each_entry_once_with_an_example_of_its_own() -> None:
    calls: list[int] = []

    def example() -> tuple[int]:
        calls.append(len(calls))
        return (1,)

    entry: Any = jit.jit(cache=True, example=example)(double)
    part: Any = jit.jit(no_refs=True)(double)
    jit.warm()
    jit.warm()
    assert calls == [0]
    assert len(entry.signatures) == 1
    assert not part.signatures


def changed(function: Any, **globals_: Any) -> int:
    """`sources` of a function with some names of its module bound to something else."""
    twin = FunctionType(function.__code__, {**function.__globals__, **globals_})
    return jit.sources(twin, {})


LIMIT = 3
UNREAD = 0


def reads(x: Any) -> Any:
    return x + LIMIT + len(NUMBERS)


def calls_one(x: Any) -> Any:
    return helper(x)


def helper(x: Any) -> Any:
    return x


def test_sources_change_with_what_is_read_and_called() -> None:
    whole = changed(reads)
    assert whole == changed(reads)
    assert whole != changed(reads, LIMIT=4)
    assert whole != changed(reads, NUMBERS=np.arange(4))
    assert whole == changed(reads, UNREAD=1)
    assert whole != jit.sources(reads, {"forceinline": True})
    one, other = jit.jit()(double), jit.jit()(reads)
    assert changed(calls_one, helper=one) != changed(calls_one, helper=other)


def test_no_kernel_uses_what_is_declared_below_it() -> None:
    """Else its `sources` are those of half of it."""
    assert len(jit.KERNELS) > 50
    for kernel in jit.KERNELS.values():
        assert jit.sources(kernel.compiled.py_func, kernel.options) == kernel.sources, kernel.name


PROGRAM = """
import numpy as np
from l3sim.jit import jit
import part
@jit(cache=True, example=lambda: (1,))
def entry(x):
    return part.more(x) + part.LIMIT
print(entry(1), sum(entry.stats.cache_hits.values()))
"""


def test_the_cache_sees_a_change_in_another_file(tmp_path: Path) -> None:
    def write_part(limit: int, more: int) -> None:
        body = f"def more(x):\n    return x + {more}\n"
        text = f"from l3sim.jit import jit\nLIMIT = {limit}\n@jit(no_refs=True, inline=True)\n{body}"
        (tmp_path / "part.py").write_text(text)

    def run() -> list[str]:
        settings = {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        }
        command = [sys.executable, "-P", str(tmp_path / "program.py")]
        environment = {**os.environ, **settings}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.split()

    (tmp_path / "program.py").write_text(PROGRAM)
    write_part(limit=100, more=10)
    assert run() == ["111", "0"]
    assert run() == ["111", "1"]
    write_part(limit=200, more=10)
    assert run() == ["211", "0"]
    write_part(limit=200, more=20)
    assert run() == ["221", "0"]

"""The detector of blocking calls catches ours, and nobody else's."""

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest

from tests import blocking
from tests.root import ROOT


def act_of(text: str) -> Any:
    """`act` of a file of ours with that text."""
    names: dict[str, Any] = {}
    exec(compile(text, str(ROOT / "l3sim" / "made_up.py"), "exec"), names)
    return names["act"]


SLEEPS = "import time\nasync def act():\n    time.sleep(0)\n"
READS = "from pathlib import Path\nasync def act():\n    Path(__file__).with_name('units.py').read_text()\n"
IMPORTS = "async def act():\n    import l3sim.units\n"
STARTS = "import subprocess, sys\nasync def act():\n    subprocess.run([sys.executable, '-c', ''])\n"
SYNCHRONOUS = SLEEPS.replace("async ", "")


@pytest.fixture
def found() -> "list[str]":
    """What is caught in a test that is about that; it must not fail for it."""
    blocking.caught.clear()
    return blocking.caught


@pytest.mark.parametrize(
    ("text", "event"), [(SLEEPS, "time.sleep"), (READS, "open"), (STARTS, "subprocess.Popen")]
)
async def test_a_call_in_a_coroutine_is_caught_with_its_line(text: str, event: str, found: list[str]) -> None:
    await act_of(text.replace("__file__", repr(str(ROOT / "l3sim" / "made_up.py"))))()
    assert any(one.startswith(f"l3sim/made_up.py:3: {event}(") for one in found), found
    found.clear()


async def test_a_callback_of_the_loop_is_caught(found: list[str]) -> None:
    asyncio.get_running_loop().call_soon(act_of(SYNCHRONOUS))
    await asyncio.sleep(0)
    assert len(found) == 1
    found.clear()


async def test_a_thread_an_import_asyncio_and_a_test_may_block(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(act_of(SYNCHRONOUS))
    act_of(SYNCHRONOUS)()
    monkeypatch.delitem(sys.modules, "l3sim.units", raising=False)
    await act_of(IMPORTS)()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "", stdout=subprocess.DEVNULL)
    await process.wait()
    time.sleep(0)  # noqa: ASYNC251
    assert found == []


def test_without_a_loop_nothing_is_caught(found: list[str]) -> None:
    act_of(SYNCHRONOUS)()
    assert found == []

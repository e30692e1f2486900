"""Child processes: ready, stopped, killed, silent; and their end when the parent dies."""

import asyncio
import signal
from pathlib import Path

import psutil
import pytest

from l3sim.errors import NotReady
from l3sim.launch import processes
from l3sim.launch.processes import Part, stop

READY = 'import sys, time; print(\'{"address": "127.0.0.1:5"}\', flush=True)\n'
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


def part(tmp_path: Path, code: str) -> Part:
    return Part("thing", ["-c", code], tmp_path / "thing.log")


async def test_a_part_is_ready_when_it_says_so_and_leaves_when_asked(tmp_path: Path) -> None:
    thing = part(tmp_path, READY + "sys.stdin.read()")
    assert (thing.pid, thing.running) == (0, False)
    await thing.start()
    assert thing.address == "127.0.0.1:5"
    assert thing.running
    assert psutil.Process(thing.pid).cmdline()[1] == "-P"
    await stop([thing])
    assert not thing.running
    assert await thing.ended() == "was ended by SIGTERM"
    assert not psutil.pid_exists(thing.pid)


async def test_a_part_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    thing = part(tmp_path, DEAF + READY + "time.sleep(600)")
    await thing.start()
    await stop([thing], grace_s=0.1)
    assert await thing.ended() == "was ended by SIGKILL"


async def test_a_fault_is_an_end_that_we_did_not_cause(tmp_path: Path) -> None:
    fallen, stopped = (part(tmp_path, READY + "time.sleep(600)") for _ in range(2))
    for thing in (fallen, stopped):
        await thing.start()
        assert thing.fault() == ""
    psutil.Process(fallen.pid).kill()
    await stop([fallen, stopped])
    assert (fallen.fault(), stopped.fault()) == ("was ended by SIGKILL", "")


async def test_a_stop_that_is_cancelled_kills_at_once(tmp_path: Path) -> None:
    thing = part(tmp_path, DEAF + READY + "time.sleep(600)")
    await thing.start()
    stopping = asyncio.create_task(stop([thing], grace_s=600))
    await asyncio.sleep(0)
    stopping.cancel()
    assert await thing.ended() == "was ended by SIGKILL"
    with pytest.raises(asyncio.CancelledError):
        await stopping


async def test_a_part_that_dies_early_is_named_with_its_last_words(tmp_path: Path) -> None:
    thing = part(tmp_path, "import sys; print('first\\nno such key', file=sys.stderr); sys.exit(2)")
    thing.log.write_text("of the time before\n")
    with pytest.raises(NotReady) as caught:
        await thing.start()
    assert str(caught.value) == (
        f"thing ended with exit code 2 before it was ready: no such key (log: {thing.log})"
    )
    assert thing.log.read_text().startswith("of the time before\n")


async def test_what_is_logged_after_a_complaint_does_not_hide_it(tmp_path: Path) -> None:
    said = "l3: error: listen: cannot bind\\nsomething about a task"
    thing = part(tmp_path, f"import sys; print('{said}', file=sys.stderr); sys.exit(2)")
    with pytest.raises(NotReady) as caught:
        await thing.start()
    assert "before it was ready: l3: error: listen: cannot bind (log: " in str(caught.value)


async def test_a_part_without_last_words_is_not_given_those_of_the_time_before(tmp_path: Path) -> None:
    thing = part(tmp_path, "")
    thing.log.write_text("of the time before\n")
    with pytest.raises(NotReady, match=r"ended with exit code 0 before it was ready: it said nothing"):
        await thing.start()


async def test_a_first_line_that_is_not_ready_is_no_start(tmp_path: Path) -> None:
    thing = part(tmp_path, "print('hello', flush=True); import time; time.sleep(600)")
    with pytest.raises(NotReady, match="was ended by SIGKILL before it was ready"):
        await thing.start()
    assert not thing.running


async def test_a_silent_part_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START_DEADLINE_S", 0.2)
    thing = part(tmp_path, "import time; time.sleep(600)")
    with pytest.raises(NotReady, match="thing was not ready within 0 s; see "):
        await thing.start()
    assert await thing.ended() == "was ended by SIGKILL"


async def test_children_do_not_see_settings_of_compose_nor_our_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L3_MODULES", "8")
    thing = part(
        tmp_path, READY + "import os; print(os.getsid(0), 'L3_MODULES' in os.environ, file=sys.stderr)"
    )
    await thing.start()
    await thing.ended()
    assert thing.log.read_text() == f"{thing.pid} False\n"


async def test_ended_tells_signals_and_codes(tmp_path: Path) -> None:
    for code, words in (("sys.exit(7)", "ended with exit code 7"), ("sys.exit(0)", "ended with exit code 0")):
        thing = part(tmp_path, READY + code)
        await thing.start()
        assert await thing.ended() == words
    thing = part(tmp_path, READY + "time.sleep(600)")
    await thing.start()
    psutil.Process(thing.pid).send_signal(signal.SIGABRT)
    assert await thing.ended() == "was ended by SIGABRT"

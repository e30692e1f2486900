"""The supervisor's socket: real sockets, a supervisor that notes what it was asked."""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from l3sim.errors import NotReady
from l3sim.launch.control import Control, ask_files, ask_start, ask_stop
from l3sim.launch.plan import DeviceProcess
from l3sim.launch.up import controlled
from l3sim.work import Role

STACKS = DeviceProcess(Role.ATTENTION, "hbm-pim", ("dimm-00", "dimm-01"), tag="hbm-pim-1")


class Supervisor:
    def __init__(self) -> None:
        self.added: list[DeviceProcess] = []
        self.removed: list[str] = []
        self.named: list[str] = []
        self.broken = ""
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()

    async def add(self, processes: Sequence[DeviceProcess]) -> None:
        self.begun.set()
        await self.go.wait()
        if self.broken:
            raise NotReady(self.broken)
        self.added += processes

    async def remove(self, names: Sequence[str]) -> None:
        self.removed += names

    async def name(self, files: Sequence[str]) -> None:
        self.named += files


async def test_what_is_asked_arrives_as_it_was(tmp_path: Path) -> None:
    path, supervisor = tmp_path / "s", Supervisor()
    async with Control(path, supervisor):
        await ask_start(path, [STACKS])
        await ask_stop(path, [STACKS.name, "dimm-00"])
        await ask_files(path, ["/x/a.py", "/x/b.py:B"])
    assert supervisor.added == [STACKS]
    assert supervisor.removed == ["hbm-pim-1-dimm-00..01", "dimm-00"]
    assert supervisor.named == ["/x/a.py", "/x/b.py:B"]
    assert not path.exists()


async def test_a_socket_that_was_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with Control(path, Supervisor()):
        await ask_stop(path, [])


async def test_an_error_comes_back_as_its_line(tmp_path: Path) -> None:
    path, supervisor = tmp_path / "s", Supervisor()
    supervisor.broken = "dimm-00 was not ready"
    async with Control(path, supervisor):
        with pytest.raises(NotReady, match="dimm-00 was not ready"):
            await ask_start(path, [STACKS])


async def test_who_asks_and_goes_away_changes_nothing(tmp_path: Path) -> None:
    path, supervisor = tmp_path / "s", Supervisor()
    supervisor.go.clear()
    async with Control(path, supervisor):
        asking = asyncio.create_task(ask_start(path, [STACKS]))
        await supervisor.begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        stopping = asyncio.create_task(ask_stop(path, [STACKS.name]))
        supervisor.go.set()
        await stopping
    assert supervisor.added == [STACKS]
    assert supervisor.removed == [STACKS.name]


@pytest.mark.parametrize(
    "line", [b"\n", b"{\n", b"[]\n", b'{"start": [{"role": "x"}]}\n', b'{"end": 1}\n', b'{"files": 1}\n']
)
async def test_nonsense_is_answered_with_an_error(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "s"
    async with Control(path, Supervisor()):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        assert b'"error": "the supervisor was asked' in await reader.readline()
        writer.close()


async def test_a_supervisor_that_does_not_listen_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"does not listen at .*; start it again: ./l3 down, ./l3 up"):
        await ask_stop(tmp_path / "s", [])


async def test_a_path_that_is_too_long_for_a_socket_costs_the_swaps_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with controlled(tmp_path / ("s" * 120), Supervisor()):
        pass
    told = capsys.readouterr().err
    assert told.startswith("l3: no device can be swapped: cannot listen at ")
    assert told.endswith("; set L3_HOME to a shorter path\n")

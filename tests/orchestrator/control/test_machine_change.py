"""Another machine between two jobs: refused for what is wrong with it before anything changes."""

import json
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from l3sim.errors import InvalidInput, NotReady, Unreachable
from l3sim.launch.in_process import MAX_MODULES, source_of
from l3sim.launch.plan import plan_devices
from l3sim.orchestrator.control import machine_change
from l3sim.orchestrator.control.discovery import Discovery
from l3sim.orchestrator.control.machine_change import (
    DEVICE_FILES,
    FILE,
    MachineChange,
    forget,
    kept,
    name_files,
    named_files,
)
from l3sim.orchestrator.job.resolve import ResolvedJob, resolve
from l3sim.orchestrator.report.artifacts import describe_machine
from l3sim.ports import DevicePort, DeviceSource
from l3sim.specs.catalog import load_machine
from l3sim.specs.job import JobSpec
from l3sim.specs.machine import Machine
from l3sim.testing.bus import MemoryBus
from l3sim.testing.clock import ManualClock
from l3sim.work import DeviceDescription

MINI = load_machine("l3-mini")
#: Reads no table of costs, which would be built first.
QUICK = MINI.with_settings([("attention.level", "roofline")])
SLOW = QUICK.with_settings([("link.setup_us", 50.0)])


class Source(DeviceSource):
    """The devices of l3-mini in this process, but for those that a test leaves out."""

    transport = "in-process"

    def __init__(self) -> None:
        self._all = source_of(plan_devices(MINI, MAX_MODULES))
        self.without = ""

    def present(self) -> Sequence[tuple[str, DeviceDescription]]:
        return [entry for entry in self._all.present() if entry[1].role != self.without]

    def connect(self, address: str) -> DevicePort:
        return self._all.connect(address)


class House:
    """What a change goes through; `jobs` are those that have not ended."""

    def __init__(self, folder: Path) -> None:
        async def describe(address: str) -> Sequence[DeviceDescription]:
            raise Unreachable(f"device at {address} does not answer")

        self.folder, self.jobs, self.source = folder, list[str](), Source()
        self.discovery = Discovery(MemoryBus(), QUICK, describe, ManualClock())
        self.changing = MachineChange(self.discovery, self.source, lambda: self.jobs, folder)

    async def change(self, machine: Machine) -> Machine:
        return await self.changing.change(describe_machine(machine))

    def unchanged(self) -> bool:
        return self.discovery.machine is QUICK and not (self.folder / FILE).exists()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_new_jobs_see_the_new_machine_and_so_does_the_next_process(house: House) -> None:
    changed = await house.change(SLOW)
    assert house.discovery.machine is changed
    assert changed.digest == SLOW.digest
    assert kept(house.folder, MINI).digest == SLOW.digest
    forget(house.folder)
    assert kept(house.folder, MINI) is MINI


async def test_a_job_that_has_not_ended_refuses_it_by_name(house: House) -> None:
    house.jobs += ["job-000003", "job-000004"]
    with pytest.raises(NotReady) as raised:
        await house.change(SLOW)
    assert str(raised.value) == (
        "job-000003 and 1 more has not ended, and a machine changes between jobs only; wait for it "
        "(./l3 watch job-000003) or cancel it (./l3 cancel job-000003)"
    )
    assert house.unchanged()


async def test_a_job_that_comes_while_devices_are_asked_refuses_it(house: House) -> None:
    present = house.source.present

    def submitted() -> Sequence[tuple[str, DeviceDescription]]:
        house.jobs.append("job-000001")
        return present()

    house.source.present = submitted  # type: ignore[method-assign]
    with pytest.raises(NotReady, match="job-000001 has not ended"):
        await house.change(SLOW)
    assert house.unchanged()


async def test_a_role_without_a_device_refuses_it(house: House) -> None:
    house.source.without = "link"
    with pytest.raises(NotReady, match="role link needs 1 of kind interconnect, present 0"):
        await house.change(SLOW)
    assert house.unchanged()


async def test_an_address_where_nobody_answers_refuses_it(house: House) -> None:
    with pytest.raises(Unreachable, match="device at a:1 does not answer"):
        await house.change(load_machine("l3-mini", devices={"link": "a:1"}))
    assert house.unchanged()
    assert house.discovery.devices() == []


async def test_a_device_that_refuses_hello_refuses_it(house: House) -> None:
    class Strict(Source):
        def connect(self, address: str) -> DevicePort:
            raise InvalidInput(("link.foo", "unknown key 'foo'"))

    house.changing = MachineChange(house.discovery, Strict(), lambda: house.jobs, house.folder)
    with pytest.raises(InvalidInput, match=r"link\.foo: unknown key"):
        await house.change(SLOW)
    assert house.unchanged()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "machine: is no YAML"),
        ("[]", "must be a mapping"),
        ("name: x", "missing"),
        ("", "must be a mapping"),
    ],
)
async def test_what_is_no_machine_is_refused(house: House, text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        await house.changing.change(text)
    assert house.unchanged()


async def test_it_never_opens_a_file_that_a_client_names(house: House) -> None:
    with pytest.raises(InvalidInput, match="unknown key 'extends'"):
        await house.changing.change("extends: l3-mini\nname: x\ndescription: y\n")
    with pytest.raises(InvalidInput) as caught:
        await house.changing.change(with_link(house.folder))
    assert str(caught.value) == (
        f"link.kind: the new machine: {house.folder}/mine.py is run only where the machine's own file, or "
        "./l3 swap beside its ./l3 up, has named it; name it there"
    )
    assert not (house.folder / "run.txt").exists()
    assert house.unchanged()


#: Notes each thread that runs it.
MINE = """
import threading
from pathlib import Path
from l3sim.services.interconnect.device import InterconnectDevice
with Path(__file__).with_name("run.txt").open("a") as told:
    told.write(f"{threading.get_ident()}\\n")
class MyLink(InterconnectDevice):
    kind = "my-link"
"""


def with_link(folder: Path) -> str:
    """l3-mini with a link whose class is in a file."""
    (folder / "mine.py").write_text(MINE)
    raw = QUICK.resolved()
    raw["link"]["kind"]["value"] = f"{folder}/mine.py"
    return json.dumps(raw)


@pytest.mark.parametrize("who", ["its machine file", "the owner of its folder"])
async def test_a_file_of_its_own_is_run_and_not_on_the_event_loop(house: House, who: str) -> None:
    sent, file = with_link(house.folder), f"{house.folder}/mine.py"
    if who == "its machine file":
        house.changing = MachineChange(house.discovery, house.source, list, house.folder, [file])
    else:
        name_files(house.folder, ["/another.py"])
        name_files(house.folder, [file])
        assert (house.folder / DEVICE_FILES).stat().st_mode & 0o777 == 0o600
    with pytest.raises(NotReady, match="role link needs 1 of kind my-link, present 0"):
        await house.changing.change(sent)
    ran = (house.folder / "run.txt").read_text().split()
    assert len(ran) == 1
    assert ran[0] != str(threading.get_ident())


async def test_a_job_is_resolved_off_the_event_loop(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def noted(spec: JobSpec, machine: Machine) -> ResolvedJob:
        ran.append(threading.get_ident())
        return resolve(spec, machine)

    monkeypatch.setattr(machine_change, "resolve", noted)
    await house.change(SLOW)
    assert ran
    assert threading.get_ident() not in ran


def test_what_was_left_runs_named_files_only(tmp_path: Path) -> None:
    left(tmp_path, host=socket.gethostname(), machine=with_link(tmp_path))
    with pytest.raises(InvalidInput, match=r"is damaged \(link.kind: .*mine.py is run only where"):
        kept(tmp_path, MINI)
    assert not (tmp_path / "run.txt").exists()
    name_files(tmp_path, [f"{tmp_path}/mine.py"])
    assert kept(tmp_path, MINI).link.kind == "my-link"
    forget(tmp_path)
    assert not named_files(tmp_path)


@pytest.mark.parametrize("text", ["{", "3"])
def test_damaged_names_of_files_are_named_with_their_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / DEVICE_FILES).write_text(text)
    with pytest.raises(InvalidInput, match=rf"{DEVICE_FILES} is damaged .*; remove it, and name them anew"):
        named_files(tmp_path)


def left(folder: Path, **content: Any) -> None:
    (folder / FILE).write_text(json.dumps(content))


def test_a_change_of_another_container_does_not_count(tmp_path: Path) -> None:
    left(tmp_path, host="another", machine=describe_machine(SLOW))
    assert kept(tmp_path, MINI) is MINI
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_a_damaged_change_is_named_with_its_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InvalidInput, match=rf"{FILE} is damaged .*; remove it to start anew"):
        kept(tmp_path, MINI)

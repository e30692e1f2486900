"""Devices swapped on a machine of local processes, with real gRPC and a real broker.

l3-dgx-a100 ── cpu-dgx-a100 ── gpu-only-dgx-a100 ── back        attention, by kind
l3-mini's link ── flat_link.py of its own kind ── ours again    link, by address
"""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from l3sim.clients.client import Client
from l3sim.errors import InvalidInput
from l3sim.launch.cli import entry
from l3sim.specs.catalog import load_machine
from tests.commands import DEADLINE_S, Commands, until
from tests.root import ROOT

CPU = "cpu-dgx-a100"
JOB = ["fixed:64:4", "--requests", "4", "--model", "llama-2-7b"]
#: Reads no table of costs, which would be built first, and keeps no KV on the GPU, past the link.
QUICK = ["--policy", "l3", "--set", "attention.level=roofline"]
FLAT = """\
extends: l3-mini
name: mine
description: l3-mini with a link of a stranger's kind
link:
  kind: flat
  pcie_bytes_per_s: 16.0e9
  setup_us: 2.0
  active_w: 5.0
  idle_w: 2.5
"""


class Here:
    """Commands run in this process, which spares a start of Python each; the machine has its own ones."""

    def __init__(self, l3: Commands, capsys: pytest.CaptureFixture[str]) -> None:
        self.l3, self._capsys = l3, capsys

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self._capsys.readouterr()
        code = entry(words)
        return code, *self._capsys.readouterr()

    def json(self, *words: str) -> Any:
        code, out, err = self.run(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def report(self, *words: str) -> dict[str, Any]:
        told: dict[str, Any] = self.json("submit", *JOB, *words, "--wait")
        assert told["invariants"] == "ok"
        told.pop("exchange")
        return told

    def refused(self, *words: str) -> str:
        """The one line with which a swap is refused; nothing has changed."""
        before = self.json("status")["parts"], self.json("devices")
        code, out, err = self.run("swap", *words)
        assert code in {2, 3}
        assert (out, err.count("\n")) == ("", 1)
        assert (self.json("status")["parts"], self.json("devices")) == before
        return err.removeprefix("l3: error: ").rstrip()


@pytest.fixture
def here(l3: Commands, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    monkeypatch.setenv("L3_HOME", str(l3.home))
    monkeypatch.chdir(l3.folder)
    return Here(l3, capsys)


@pytest.fixture
def mini(here: Here) -> Here:
    here.l3.json("up", "--machine", "l3-mini", "--modules-per-process", "4", "--detach")
    return here


@contextmanager
def flat_link(l3: Commands, *words: str) -> Iterator[str]:
    """The address of a link that is written with the stubs alone."""
    with subprocess.Popen(
        [sys.executable, ROOT / "docs" / "examples" / "flat_link.py", *words],
        stdout=subprocess.PIPE,
        env=l3.environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["address"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()


def named(report: dict[str, Any], role: str) -> set[str]:
    return {one["kind"] for one in report["provenance"]["devices"] if one["role"] == role}


def test_jobs_before_and_after_a_swap_name_different_devices(here: Here) -> None:
    here.l3.json("up", "--machine", "l3-dgx-a100", "--modules-per-process", "32", "--detach")
    before = here.report(*QUICK)
    assert (named(before, "attention"), before["machine"]) == ({"dimm-pim"}, "l3-dgx-a100")

    assert here.run("swap", "attention", "--with", "cpu-attention") == (
        0,
        "attention: 32 x dimm-pim (l3-dgx-a100) -> 16 x cpu-attention (cpu-dgx-a100); new jobs run on it\n",
        "",
    )
    after = here.report()
    assert (named(after, "attention"), after["machine"]) == ({"cpu-attention"}, CPU)
    alone = here.json("run", *JOB, "--machine", CPU, "--in-process")
    alone.pop("exchange")
    assert after == alone
    devices = here.json("devices")
    assert {one["kind"] for one in devices if one["role"] == "attention"} == {"cpu-attention"}
    assert {one["state"] for one in devices} == {"ready"}
    parts = [part["name"] for part in here.json("status")["parts"]]
    assert parts == ["broker", "gpu", "link", "orchestrator", "cpu-attention-swap-1-dimm-00..15"]

    old = psutil.Process(here.l3.part("orchestrator"))
    old.kill()
    until(lambda: here.l3.part("orchestrator") != old.pid, "the orchestrator is back")
    until(lambda: here.run("devices")[0] == 0, "it answers")
    until(lambda: len(here.json("devices")) == 18, "it has found everybody")
    assert here.report() == after

    swapped = here.json("swap", "attention", "--with", "gpu")
    assert swapped["after"] == {
        "machine": "gpu-only-dgx-a100", "kind": "gpu", "devices": 0, "chosen": None
    }  # fmt: skip
    alone = here.report("--policy", "chunked")
    assert {one["slot"] for one in alone["provenance"]["devices"]} == {"gpu"}
    assert here.refused("link", "--with", "interconnect").startswith("link: gpu-only-dgx-a100 has no slot")
    here.json("swap", "attention", "--with", "cpu-attention", "--modules-per-process", "16")
    assert here.report() == after


def test_a_stranger_of_its_own_kind_takes_the_link_by_its_address(mini: Here) -> None:
    file = mini.l3.folder / "mine.yaml"
    file.write_text(FLAT)
    before = mini.report(*QUICK)
    with flat_link(mini.l3, "", "x", "flat") as address:
        assert mini.refused("link", "--with", address) == (
            "machine l3-mini: role link needs 1 of kind interconnect, present 0, chosen by devices.link: "
            f"{address}, of another kind: flat-link is flat; start what is missing, or use a machine file "
            "that asks for that kind"
        )
        done = mini.run("swap", "link", "--with", address, "--machine", "mine.yaml")
        assert done == (
            0, f"link: 1 x interconnect (l3-mini) -> 1 x flat (mine) at {address}; new jobs run on it\n", ""
        )  # fmt: skip
        after = mini.report(*QUICK)
        assert (named(before, "link"), named(after, "link")) == ({"interconnect"}, {"flat"})
        assert mini.json("conformance", address, "--machine", "mine.yaml", "--idle", "0")["conforms"]
        assert after["utilization"]["link_down"] != before["utilization"]["link_down"]
        file.write_text(FLAT.replace("setup_us", "foo: 3\n  setup_us"))
        told = mini.refused("link", "--with", address, "--machine", "mine.yaml")
        assert told.startswith("link.foo: mine: unknown key 'foo' (there are: active_w,")
        assert told.endswith("says the device of kind 'flat'")
        code, _, err = mini.run("submit", *JOB, "--set", "link.bar=3", "--wait")
        assert code == 2
        assert "link.bar: mine: unknown key 'bar'" in err
        mini.json("swap", "link", "--with", "interconnect", "--machine", "l3-mini")
    assert mini.report(*QUICK) == before


def test_an_address_in_the_machine_file_is_found_at_the_start(l3: Commands) -> None:
    with flat_link(l3, "", "x", "flat") as address:
        (l3.folder / "mine.yaml").write_text(f"{FLAT}devices: {{link: '{address}'}}\n")
        told = l3.json("run", *JOB, *QUICK, "--machine", "mine.yaml", "--modules-per-process", "4")
        assert named(told, "link") == {"flat"}


def test_a_stranger_that_the_machine_file_names_may_come_after_the_start(here: Here) -> None:
    (here.l3.folder / "mine.yaml").write_text(f"{FLAT}devices: {{link: flat-link}}\n")
    here.l3.json("up", "--machine", "mine.yaml", "--modules-per-process", "4", "--detach")
    broker = next(part["address"] for part in here.json("status")["parts"] if part["name"] == "broker")
    assert (here.l3.home / "supervisor.log").read_text() == (
        "l3: role link waits for a device of kind flat, which no package here offers; start it with "
        f"the broker at {broker}, or at the address that the file names\n"
    )
    with flat_link(here.l3, broker, "mine", "flat"):
        until(lambda: any(one["slot"] == "link" for one in here.json("devices")), "the link is there")
        assert named(here.report(*QUICK), "link") == {"flat"}


def test_two_links_are_refused_until_the_machine_names_one(mini: Here) -> None:
    broker = next(part["address"] for part in mini.json("status")["parts"] if part["name"] == "broker")
    with flat_link(mini.l3, broker, "l3-mini"):
        until(lambda: len(mini.json("devices")) == 7, "both links are there")
        code, out, err = mini.run("submit", *JOB)
        assert (code, out) == (3, "")
        contend = "role link has 1 slot, and 2 devices of kind interconnect contend for it: flat-link, link"
        assert contend in err
        # Whoever comes by a swap is named by it.
        mini.json("swap", "link", "--with", "interconnect")
        assert mini.report(*QUICK)["provenance"]["devices"][-1]["version"] != "flat 1"


def test_what_cannot_be_is_refused_and_changes_nothing(mini: Here) -> None:
    assert mini.refused("lnk", "--with", "x").startswith("ROLE: unknown role 'lnk'; did you mean 'link'?")
    assert mini.refused("attention", "--with", "interconnect").startswith(
        "--with: kind 'interconnect' is for role link, not attention"
    )
    assert mini.refused("link", "--with", "my/image") == (
        "--with: 'my/image' is no kind of role link (interconnect) and no HOST:PORT; images are for machines "
        "under Docker"
    )
    unreachable = mini.refused("link", "--with", "127.0.0.1:9")
    assert unreachable.startswith("device at 127.0.0.1:9 does not answer: ")
    assert unreachable.endswith("; start the device there first, or give another address")
    with flat_link(mini.l3) as address:
        text = mini.refused("attention", "--with", address)
        chosen = f"chosen by devices.attention: {address}, but flat-link is for role link"
        assert text.endswith(f"{chosen}; start what is missing")
    # Runs for many seconds.
    job_id = mini.json("submit", "openr1", "--requests", "20000", *QUICK)["job_id"]
    assert mini.refused("link", "--with", "interconnect").startswith(f"{job_id} has not ended, and")
    mini.run("cancel", job_id)


def test_without_a_machine_there_is_nothing_to_swap(l3: Commands) -> None:
    l3.environment["DOCKER_HOST"] = "unix:///nobody/listens/here"
    done = l3.run("swap", "link", "--with", "interconnect")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "l3: error: no machine runs here; start one: ./l3 up --detach, or docker compose up --detach\n"
    )


def test_files_of_kinds_are_run_for_the_owner_and_not_for_a_client(mini: Here) -> None:
    folder = mini.l3.folder
    for name in ("a", "b", "theirs"):
        (folder / f"{name}.py").write_text(
            "from pathlib import Path\n"
            "from l3sim.services.interconnect.device import InterconnectDevice\n"
            "Path(__file__).with_suffix('.run').touch()\n"
            f"class MyLink(InterconnectDevice):\n    kind, version = 'my-link', {name!r}\n"
        )
    link = load_machine("l3-mini").section("link")
    mine = {"extends": "l3-mini", "name": "mine", "description": "x", "link": {**link, "kind": "./a.py"}}
    (folder / "mine.yaml").write_text(json.dumps(mine))
    before = mini.report(*QUICK)

    def version() -> str:
        (told,) = (one for one in mini.report(*QUICK)["provenance"]["devices"] if one["role"] == "link")
        return str(told["version"])

    mini.json("swap", "link", "--with", "./a.py", "--machine", "mine.yaml")
    assert version().startswith("a+")
    mini.json("swap", "link", "--with", "./b.py")
    assert version().startswith("b+")
    old = psutil.Process(mini.l3.part("orchestrator"))
    old.kill()
    until(lambda: mini.l3.part("orchestrator") != old.pid, "the orchestrator is back")
    until(lambda: mini.run("devices")[0] == 0, "it answers")
    until(lambda: len(mini.json("devices")) == 6, "it has found everybody")
    assert version().startswith("b+")

    raw = load_machine("l3-mini").resolved()
    raw["link"]["kind"]["value"] = f"{folder}/theirs.py"

    async def send() -> None:
        async with Client(mini.json("status")["address"]) as client:
            await client.change_machine(json.dumps(raw))

    with pytest.raises(InvalidInput, match=r"^link.kind: the new machine: .*/theirs.py is run only where"):
        asyncio.run(send())
    assert not (folder / "theirs.run").exists()
    mini.json("swap", "link", "--with", "interconnect", "--machine", "l3-mini")
    assert mini.report(*QUICK) == before

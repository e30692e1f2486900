"""The folder of `up`: one machine at a time, and a dead one is not taken for a living one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from l3sim.errors import Conflict, L3Error
from l3sim.launch.home import Home
from tests.root import ROOT

HOLDER = """
import sys, time
from l3sim.launch.home import Home
home = Home({"L3_HOME": sys.argv[1]})
with home.claim():
    home.write({"pid": 1, "address": "127.0.0.1:1", "machine": "m"})
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home({"L3_HOME": str(tmp_path / "home")})


def hold(home: Home) -> "subprocess.Popen[str]":
    """Another process that holds the folder until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, home.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_an_unused_folder_has_no_machine(home: Home) -> None:
    assert (home.taken, home.holder, home.read()) == (False, 0, None)


def test_while_one_is_up_another_is_refused_by_name(home: Home) -> None:
    with hold(home) as other:
        assert home.taken
        assert home.holder == other.pid
        with (
            pytest.raises(
                Conflict, match=r"machine m is already up at 127\.0\.0\.1:1 \(pid 1\); stop it first"
            ),
            home.claim(),
        ):
            pass
        assert home.read() == {"pid": 1, "address": "127.0.0.1:1", "machine": "m"}
    assert (home.taken, home.holder, home.read()) == (False, 0, None)
    with home.claim():
        assert home.holder == os.getpid()


def test_a_killed_one_leaves_its_file_but_not_its_claim(home: Home) -> None:
    with hold(home) as other:
        other.kill()
    assert home.wait_free(0)
    assert home.holder == 0
    assert home.read() is not None
    with home.claim():
        assert home.read() is None


def test_waiting_for_a_living_one_ends_at_the_deadline(home: Home) -> None:
    with hold(home):
        assert not home.wait_free(0.05)


def test_a_state_file_is_replaced_whole_and_a_damaged_one_is_none(home: Home) -> None:
    with home.claim():
        home.write({"pid": 1, "address": "a", "machine": "m"})
        assert {path.name for path in home.path.iterdir()} == {"up.lock", "up.json"}
        assert json.loads((home.path / "up.json").read_text())["machine"] == "m"
        (home.path / "up.json").write_text("{")
        assert home.read() is None


def test_logs_of_the_machine_before_are_dropped_and_journals_kept(home: Home) -> None:
    (home.logs() / "gpu.log").touch()
    (home.journal("m") / "jobs.sqlite").touch()
    assert list(home.logs().iterdir()) == []
    assert (home.journal("m") / "jobs.sqlite").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = Home({"L3_HOME": str(tmp_path / "file" / "below")})
    with pytest.raises(L3Error, match=r"cannot make .*file/below: .*; set L3_HOME"), home.claim():
        pass

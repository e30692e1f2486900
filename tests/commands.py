"""The command line as people call it, in a process of its own, for tests that start real machines."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.root import ROOT

#: A loaded computer takes its time; nothing here is timed, only bounded.
DEADLINE_S = 90.0


class Commands:
    """Runs `./l3` commands with a home, a temporary folder and a current folder of their own.

    Args:
        folder: holds all three.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("L3_")}
        self.environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "L3_HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "COLUMNS": "200",
        }

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "l3sim", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
        )

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return finish(self.start(*words))

    def json(self, *words: str) -> Any:
        """Run a command that must succeed, and read what it prints."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def leftovers(self) -> list[psutil.Process]:
        """Processes that came of any of these commands and still run."""
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TMPDIR") == str(self.temporary) and living([process]):
                    left.append(process)
        return left

    def part(self, name: str) -> int:
        """Process id of a part of the machine of `up`."""
        pids = [part["pid"] for part in self.json("status")["parts"] if part["name"] == name]
        assert len(pids) == 1
        return int(pids[0])


def finish(process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    """Wait for a command's end."""
    try:
        out, err = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args!r} hangs; it said: {out}{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until `condition` gives something, and return that."""
    end = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)
    return found


def family(pid: int) -> list[psutil.Process]:
    """A process and all that came of it."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def living(processes: Sequence[psutil.Process]) -> list[str]:
    """Those that still run, by command line; one that waits for its parent to notice its end does not."""
    left = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(" ".join(process.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return left

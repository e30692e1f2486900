"""A device written with the generated stubs alone joins a machine: the contract says all that it takes.

l3-mini:  gpu, dimm-00 ... dimm-03 of ours     link: docs/examples/flat_link.py
"""

import ast
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.commands import DEADLINE_S, Commands, until
from tests.root import ROOT

EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture
def machine(l3: Commands) -> Iterator[tuple[Commands, str]]:
    """l3-mini whose link has gone and flat-link come instead; and the address of that."""
    l3.json("up", "--machine", "l3-mini", "--detach")
    parts = {part["name"]: part for part in l3.json("status")["parts"]}
    psutil.Process(parts["link"]["pid"]).terminate()
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "flat_link.py", parts["broker"]["address"], "l3-mini"],
        stdout=subprocess.PIPE,
        env=l3.environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield l3, json.loads(process.stdout.readline())["address"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()


def test_it_conforms_and_runs_a_job(machine: tuple[Commands, str], tmp_path: Path) -> None:
    l3, address = machine
    told = l3.json("conformance", address)
    assert told["conforms"], told
    until(lambda: state_of(l3, "flat-link") == ("ready", "link"), "the link is there")
    report = l3.json("submit", "fixed:64:16", "--requests", "4", "--wait")
    assert (report["requests"]["completed"], report["invariants"]) == (4, "ok")
    assert "flat 1" in json.dumps(report["provenance"])


def state_of(l3: Commands, device: str) -> tuple[str, str]:
    return next(
        ((one["state"], one["slot"]) for one in l3.json("devices") if one["id"] == device), ("absent", "")
    )


@pytest.mark.parametrize("file", ["flat_link.py", "flat_books.py", "job_client.py", "listen.py"])
def test_it_imports_nothing_of_ours_but_the_stubs(file: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse((EXAMPLES / file).read_text())):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
    ours = {"l3sim", "services", "orchestrator", "clients", "launch", "tests"}
    assert {name for name in imported if name.partition(".")[0] in ours} == {"l3sim.v1"}

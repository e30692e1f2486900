"""The command `./l3 conformance`: table, JSON, JUnit, exit codes."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients.cli import main
from l3sim.specs.catalog import load_machine
from l3sim.transport.serve import SERVE
from tests.root import ROOT


@pytest.fixture
def link() -> Iterator[str]:
    """The address of an interconnect in a process of its own, which ends with its standard input."""
    command = [sys.executable, *SERVE, "interconnect", "--id", "link-0", "--lifeline"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["address"]
        process.terminate()


def test_a_device_that_conforms(link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.xml"
    assert main(["conformance", link, "--idle", "0", "--junit", str(file)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"interconnect link-0 (role link) at {link}"
    assert out[-1] == "21 passed, 0 failed, 2 skipped"
    assert len(out) == 25
    assert ET.parse(file).getroot()[0].get("tests") == "23"


def test_json_and_a_configuration_of_its_own(
    link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mine.json"
    config.write_text(json.dumps(load_machine("l3-mini").section("link")))
    assert main(["conformance", link, "--config", str(config), "--set", "width=3", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["conforms"], told["kind"]) == (False, "interconnect")
    failed = [check for check in told["checks"] if check["verdict"] == "failed"]
    assert [check["name"] for check in failed] == ["hello"]
    assert "width" in failed[0]["text"]


def test_a_configuration_that_no_machine_file_could_say_is_refused(
    link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mine.json"
    config.write_text('{"kind": "interconnect", "width": 3}')
    assert main(["conformance", link, "--config", str(config)]) == 2
    assert capsys.readouterr().err.startswith("l3: error: link.width: --config: unknown key 'width'")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["127.0.0.1:1", "--timeout", "5"], 3, "start the device first"),
        (["here"], 2, "address: must be HOST:PORT"),
        (["127.0.0.1:1", "--set", "level"], 2, "--set: must be KEY=VALUE"),
        (["127.0.0.1:1", "--config", "none.yaml"], 2, "--config: none.yaml: "),
        (["127.0.0.1:1", "--machine", "l3-max"], 2, "unknown machine 'l3-max'"),
    ],
)
def test_what_cannot_be_asked(
    words: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conformance", *words]) == code
    assert text in capsys.readouterr().err

"""`./l3 machine show`: everything resolved, with file and source."""

import json

import pytest

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients.cli import main
from l3sim.specs.catalog import load_machine
from l3sim.specs.machine import SECTIONS


def test_json_has_every_value_with_its_file_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machine", "show", "l3-dgx-a100-pcie5", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    machine = load_machine("l3-dgx-a100-pcie5")
    assert shown["name"] == machine.name
    for section in SECTIONS:
        values = {key: entry["value"] for key, entry in shown["sections"][section].items()}
        assert values == machine.section(section)
    link = shown["sections"]["link"]
    assert link["pcie_bytes_per_s"]["file"] == "machines/l3-dgx-a100-pcie5.yaml"
    assert link["setup_us"]["file"] == "machines/l3-dgx-a100.yaml"
    assert link["pcie_lanes"] == {"value": None, "source": "default", "file": None}


def test_the_page_shows_a_line_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machine", "show", "l3-dgx-a100-4tb"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.split()[:1] == ["rank_capacity_bytes"]]
    assert line.split()[1:3] == ["68719476736", "machines/l3-dgx-a100-4tb.yaml"]
    assert line.endswith("ours: twice the reference, at the same bandwidth")


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machine", "show", "l3-dgx-a101"]) == 2
    assert "unknown machine 'l3-dgx-a101'; did you mean 'l3-dgx-a100'" in capsys.readouterr().err

"""The command line of the probe of any kind."""

import pytest

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients.cli import main


def test_it_prints_a_line_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--machine", "l3-mini", "--model", "llama-2-7b", "--batch", "2", "--context", "64"]
    assert main(["probe", "attention", *words, "--set", "level=roofline"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["kind", "dimm-pim"] in lines
    assert ["level", "roofline"] in lines


def test_a_key_that_the_kind_has_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--machine", "l3-mini", "--model", "llama-2-7b", "--batch", "2", "--context", "64"]
    assert main(["probe", "attention", *words, "--set", "colour=3"]) == 2
    assert "unknown key 'colour'" in capsys.readouterr().err

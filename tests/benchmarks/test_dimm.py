"""The DIMM-PIM benchmarks run and add up; how fast they are, is no test's business."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import dimm, fidelity
from l3sim.errors import InvalidInput


@pytest.fixture(autouse=True)
def _tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L3_TABLES", str(tmp_path))


def test_every_name_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    names = [name for name in dimm.NAMES if "llama" in name]
    assert dimm.main([*names, "--turns", "1"]) == 0
    figures = {(one := json.loads(line))["name"]: one for line in capsys.readouterr().out.splitlines()}
    assert list(figures) == names
    command, fast = figures["command-llama-2-70b"], figures["fast-llama-2-70b"]
    assert command["commands_per_s"] == pytest.approx(command["commands"] / command["cpu_s"])
    assert command["commands"] > 1_000_000
    assert fast["us_per_module"] * 32 == pytest.approx(1e6 * fast["cpu_s"])


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        dimm.main(["fast-gpt-5"])
    assert ended.value.code == 2
    assert "nothing is called 'fast-gpt-5'; there are: command-gpt-175b, " in capsys.readouterr().err


SMALL = ["--kernels", "1", "--points", "3", "--most", "3000", "--seed", "4"]


def test_the_fidelity_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fidelity.main(SMALL) == 0
    printed = capsys.readouterr().out
    assert f"Made by `python -m benchmarks.fidelity {' '.join(SMALL)}`." in printed
    assert "| queries | 1 | 3 | " in printed
    assert "3 attend calls on one rank" in printed


def test_a_gap_fails_the_page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = fidelity.Sample({"queries": 1}, 1, 100, 500, 1006, 1000)
    right = fidelity.Sample({"queries": 1}, 1, 100, 500, 1005, 1000)
    monkeypatch.setattr(fidelity, "samples", lambda *_: iter([wrong, right]))
    assert (wrong.within, right.within) == (False, True)
    assert fidelity.main([]) == 1
    printed = capsys.readouterr().out
    assert "- Beyond max(0.5%, 2 tCK): 1." in printed
    assert "| 1,006 | 1,000 | 6 | 0.60000% | 1 | 100 | queries 1 |" in printed


def test_every_switch_is_drawn() -> None:
    drawn = [settings for settings, _ in fidelity.draw_kernels(np.random.default_rng(1), 40)]
    for key, values in fidelity.SWITCHES.items():
        assert {settings[key] for settings in drawn} == set(values), key
    pairs = {(settings["queries"], settings["n_hc"]) for settings in drawn}
    assert len(pairs) == 16
    with pytest.raises(InvalidInput):
        fidelity.kernel_with({"queries": 1, "n_hc": 8, "pu": "rank", "pipelining": False})

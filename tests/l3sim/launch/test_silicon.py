"""What `./l3 machine show` says of the chips: by hand, from the values of the machine files."""

import json

import pytest

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients.cli import main
from l3sim.launch.silicon import derived, lines_of
from l3sim.specs.catalog import load_machine
from tests.services.builders import machine


def test_a_dimm_by_hand() -> None:
    found = derived(load_machine("l3-dgx-a100"))
    assert (found["chip_gbit"], found["die_gbit"]) == (32, 8)
    # 16 banks x 0.6 of what reading adds, 116 mA, every 8 tCK for 4: 4.8 times that, above IDD3N = 52 mA.
    assert found["mac_above_standby"] == pytest.approx(4.8)
    assert found["mac_ma"] == pytest.approx(52 + 4.8 * 116)
    # 16 units and a buffer, twice as large in the DRAM process; four dies in each of sixteen chips.
    assert found["die_mm2"] == pytest.approx(2 * (16 * 0.0032 + 0.051))
    assert found["die_share"] == pytest.approx(0.2044 / 50)
    assert found["machine_mm2"] == pytest.approx(32 * found["module_mm2"]) == pytest.approx(32 * 64 * 0.2044)


def test_a_power_limit_lowers_the_current_of_macs() -> None:
    found = derived(machine(attention__mac_interval_tck=12))
    assert found["mac_above_standby"] == pytest.approx(4.8 / 1.5)


def test_a_stack_is_the_published_share_of_a_die() -> None:
    found = derived(load_machine("hbm-pim-dgx-h100"))
    assert (found["die_mm2"], found["die_share"]) == (pytest.approx(13.12), pytest.approx(0.1084, abs=1e-4))
    assert found["module_mm2"] == pytest.approx(8 * 13.12 + 1.4)


def test_dies_that_are_said_are_those_of_refresh() -> None:
    (density, *_) = lines_of(derived(load_machine("l3-dgx-a100-16gb-dies")))
    assert density.endswith("those of one 16 Gb die: 2 dies of 16 Gb stacked, one active")
    said = machine(attention__die_gbit=32)
    assert lines_of(derived(said))[0].endswith("refresh and currents are those of a 32 Gb die")
    unsaid = machine(attention__die_gbit=None, attention__bank_unit_mm2=None)
    assert "does not say of which die" in lines_of(derived(unsaid))[0]
    assert derived(unsaid)["machine_mm2"] is None


def test_it_stands_under_the_values_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machine", "show", "l3-dgx-a100"]) == 0
    text = capsys.readouterr().out
    assert "  current     608.8 mA a chip while all its banks multiply, 168 mA reading; 4.8 times" in text
    assert "  rows        opening all banks: tFAW is left out (exempt)" in text
    assert main(["machine", "show", "l3-dgx-a100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["derived"]["chip_gbit"] == 32
    assert main(["machine", "show", "cpu-dgx-a100"]) == 0
    assert "chips, from the above" not in capsys.readouterr().out

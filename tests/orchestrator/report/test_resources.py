"""The energy ledger; busy and idle time of whole reports are made by hand in test_report.py."""

import pytest

from l3sim.orchestrator.report.resources import energy_adds_up
from l3sim.reports.sections import Energy


@pytest.mark.parametrize(("total", "good"), [(6.0, True), (6.1, False)])
def test_energy_adds_up(total: float, good: bool) -> None:
    energy = Energy(total, gpu=1.0, attention=0.0, link=0.0, host=0.0, idle=5.0)
    assert energy_adds_up(energy) == ([] if good else ["energy rows do not sum to the total"])

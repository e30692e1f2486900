"""A whole report that no job wrote, to be changed by tests."""

from typing import Any

from msgspec.structs import replace

from l3sim.reports import Report
from tests.root import ROOT

GOLDEN = (ROOT / "tests" / "golden" / "report.json").read_text()


def golden(**sections: Any) -> Report:
    """The report of `tests/golden`, with these sections in the place of its own."""
    return replace(Report.from_json(GOLDEN), **sections)

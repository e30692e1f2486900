"""A report that was written is the report that is read, and a damaged one is refused by name."""

import json
from typing import Any

import msgspec
import pytest

from l3sim.errors import InvalidInput
from l3sim.reports import SCHEMA, Report
from tests.reports import GOLDEN, golden


def plain() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDEN)
    return content


def test_it_goes_to_json_and_back_in_the_order_of_the_file() -> None:
    report = golden()
    assert json.dumps(report.to_dict()) == json.dumps(plain())
    assert Report.from_json(json.dumps(report.to_dict())) == report
    assert report.schema == SCHEMA


def test_what_a_newer_version_adds_is_left_out() -> None:
    content = plain() | {"waves": {"from_s": 1.0}}
    content["kv"]["swapped_bytes"] = 7
    assert Report.from_json(json.dumps(content)) == golden()


@pytest.mark.parametrize("path", [("policy",), ("kv", "prefix", "hit_rate"), ("exchange", "parts_wall_s")])
def test_a_missing_field_is_named(path: tuple[str, ...]) -> None:
    content = part = plain()
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    with pytest.raises(InvalidInput) as refused:
        Report.from_json(json.dumps(content))
    where = ".".join(("report", *path))
    assert str(refused.value) == f"{where}: is missing; the report is damaged, or of another version"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "report: is no JSON"),
        ("[]", "report: Expected `object`, got `array`"),
        (GOLDEN.replace("l3.report/1", "l3.report/2"), "report.schema: Invalid enum value 'l3.report/2'"),
        (GOLDEN.replace('"iterations": 40321', '"iterations": "many"'), "report.iterations: Expected `int`"),
        (b"\xff", "report: is no JSON"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(text: str | bytes, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Report.from_json(text)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_fidelity_is_there_only_where_it_was_checked() -> None:
    assert golden().exchange.fidelity is msgspec.UNSET
    content = plain()
    found = {"windows": 1, "calls": 2, "largest_gap_s": 0.5, "largest_gap": 0.25}
    content["exchange"]["fidelity"] = found
    report = Report.from_json(json.dumps(content))
    assert not isinstance(report.exchange.fidelity, msgspec.UnsetType)
    assert report.exchange.fidelity.calls == 2
    assert report.to_dict() == content


def test_broken_invariants_are_a_list() -> None:
    assert golden().broken == ["gpu of replica 0 is busy twice at 17 ps"]
    assert golden(invariants="ok").broken == []

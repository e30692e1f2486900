import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from l3sim.clients.report_view import WIDTH, print_report, wide
from l3sim.reports import Report
from tests.reports import GOLDEN as REPORT
from tests.reports import golden

GOLDEN = Path(__file__).parents[1] / "golden"


def printed(report: dict[str, Any], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_report(Report.from_json(json.dumps(report)), console)
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


@pytest.fixture
def report() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(REPORT)
    return content


def test_the_whole_view(report: dict[str, Any]) -> None:
    assert printed(report) == (GOLDEN / "report.txt").read_text()


def test_a_good_run_says_nothing_of_trouble(report: dict[str, Any]) -> None:
    report |= {"saturated": False, "invariants": "ok", "warnings": []}
    text = printed(report)
    assert not any(word in text for word in ("saturated", "INVARIANT", "warning"))


def test_an_empty_run_divides_by_nothing(report: dict[str, Any]) -> None:
    report["energy_j"] = dict.fromkeys(report["energy_j"], 0)
    report["tokens"]["output"] = 0
    report["kv"]["capacity_bytes"] = 0
    rows = [line.split() for line in printed(report).splitlines()]
    assert ["total", "0", "-", "-"] in rows


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mode": "offline", "rate_per_s": None}, "openr1, all at time 0\n"),
        (
            {"mode": "open", "rate_per_s": None, "speed": 2.0},
            "openr1, open loop, its own times at speed 2\n",
        ),
        (
            {"mode": "closed", "rate_per_s": None, "concurrency": 8},
            "openr1, closed loop of 8 clients\n",
        ),
    ],
)
def test_how_requests_arrive(report: dict[str, Any], changes: dict[str, Any], text: str) -> None:
    report["workload"] |= changes
    assert text in printed(report)


@pytest.mark.parametrize(
    ("peak", "text"),
    [
        (0, "0 bytes at most"),
        (2**10, "1.000 KiB at most"),
        (2**25, "32.00 MiB at most"),
        (2**40, "1,024 GiB"),
    ],
)
def test_memory_in_a_unit_that_reads_well(report: dict[str, Any], peak: int, text: str) -> None:
    report["kv"]["peak_bytes"] = peak
    assert text in printed(report)


def device(slot: str, role: str = "attention", kind: str = "dimm-pim", **changes: str) -> dict[str, str]:
    told = {"version": "0.1.0", "fidelity": "fast", "overrides": "{}", "digest": "0f"}
    return {"slot": slot, "role": role, "kind": kind, **told, **changes}


def test_overrides_and_devices_that_are_not_ours_are_named(report: dict[str, Any]) -> None:
    slow = {"overrides": '{"ccd_l_tck":16}'}
    report["provenance"]["devices"] = [
        device("dimm-00"),
        device("dimm-01", **slow),
        device("dimm-02", kind="cxl-pim", version="2"),
        device("dimm-03", kind="cxl-pim", version="2", **slow),
        device("gpu", "gpu", "gpu", version="0.0.9"),
        device("link", "link", "interconnect", overrides="fast, please"),
    ]
    lines = printed(report).splitlines()
    assert lines[3:8] == [
        "not ours    2 from dimm-02 to dimm-03: cxl-pim, version 2",
        "not ours    gpu: gpu, version 0.0.9",
        "overrides   2 from dimm-01 to dimm-03: ccd_l_tck=16",
        "overrides   link: fast, please",
        "",
    ]


def test_what_nobody_shares_and_nobody_carries_is_not_spoken_of(report: dict[str, Any]) -> None:
    report["kv"]["prefix"] = {"asked_tokens": 0, "hit_tokens": 0, "hit_rate": None, "saved_peak_bytes": 0}
    report["balance"]["attention_s"]["max_to_mean"] = None
    text = printed(report)
    assert not any(word in text for word in ("shared", "balance"))


def test_objectives_and_foresight_are_told_where_there_are_any(report: dict[str, Any]) -> None:
    assert not any(word in printed(report) for word in ("objectives", "foresight"))
    report["slo"] |= {"attained": 0.925, "goodput_requests_per_s": 1.5}
    report["slo"]["at_most_s"]["ttft_s"] = 2.0
    report["prediction"]["plans"]["gpu"]["median"] = 0.001
    assert "foresight" not in printed(report)
    report["prediction"]["plans"]["attention"]["median"] = 0.02
    lines = printed(report).splitlines()
    assert "objectives  ttft_s 2: 92.5% met, goodput 1.500 requests/s" in lines
    assert "foresight   plans were wrong by GPU 0.10%, attention 2.00% at the median" in lines


def test_a_narrow_terminal_loses_no_column(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=72, force_terminal=True, highlight=False)
    assert wide(console).width == WIDTH
    monkeypatch.setenv("COLUMNS", "72")
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        print_report(golden())
    (head,) = [line for line in told.getvalue().splitlines() if line.startswith("latency")]
    assert head.split()[-2:] == ["p99", "max"]

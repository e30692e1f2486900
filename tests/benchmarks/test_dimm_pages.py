"""The pages about the memory modules are what the code says."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import dimm_reference
from benchmarks.dimm_runs import ask
from benchmarks.dimm_texts import INTRODUCTION, TEXTS
from benchmarks.svg import lines, stacks
from l3sim.services.dram.command.constraints import CONSTRAINTS

RESULTS = (dimm_reference.GENERATED / "dimm-pim-results.md").read_text()
PICTURES = sorted(dimm_reference.GENERATED.glob("dimm-pim-*.svg"))


def test_the_generated_parts_of_the_page_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert dimm_reference.main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_page_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(dimm_reference.PAGE.read_text().replace("| JESD79-4 |", "| hearsay |", 1))
    monkeypatch.setattr(dimm_reference, "PAGE", page)
    assert dimm_reference.main(["--check"]) == 1
    assert capsys.readouterr().out.startswith("not up to date: page.md; run python -m")
    assert dimm_reference.main([]) == 0
    assert page.read_text() == (dimm_reference.DOCS / "dimm-pim.md").read_text()


def test_every_constraint_is_in_the_table() -> None:
    page = dimm_reference.PAGE.read_text()
    rows = re.findall(r"^\| (?:rank|group|bank|slot) \|.*$", page, re.M)
    assert len(rows) == len(CONSTRAINTS) + 1  # and the window


@pytest.mark.parametrize("point", [("qwen-72b", 16, 1024), ("gpt-175b", 16, 1024)])
def test_results_are_those_of_the_code(point: tuple[str, int, int]) -> None:
    found = ask(*point, level="command")
    assert found is not None
    share = f"{found['peak_share']:.1%}"
    (row,) = re.findall(rf"^\| {point[0]}, {point[1]} \|.*$", RESULTS, re.M)
    assert row.split(" | ")[2] == share
    assert f" {found['attention_us']:.2f} " in RESULTS
    assert f" {found['row_us']:.2f} " in RESULTS


def test_the_page_says_what_its_texts_say() -> None:
    missing = [text for text in (INTRODUCTION, *sum(TEXTS.values(), ())) if text not in RESULTS]
    assert missing == []


def test_a_switch_has_its_row() -> None:
    plain, switched = (ask("qwen-72b", 16, 1024, level="command", **keys) for keys in ({}, {"n_hc": 4}))
    assert plain is not None
    assert switched is not None
    row = re.search(r"^\| `n_hc: 4` \|.*$", RESULTS, re.M)
    assert row is not None
    cells = row[0].strip("| ").split(" | ")
    assert cells[5] == f"{switched['attention_us'] / plain['attention_us']:.3f}"
    assert cells[6] == f"{switched['energy_j'] / plain['energy_j']:.2f}"


def test_what_does_not_fit_has_no_answer() -> None:
    assert ask("gpt-175b", 256, 65536) is None


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_pictures_are_small_and_well_formed(path: Path) -> None:
    assert path.stat().st_size < 100_000
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    page = RESULTS + dimm_reference.PAGE.read_text()
    assert re.search(rf"\((generated/)?{re.escape(path.name)}\)", page)


def test_plots_leave_out_what_is_unknown_and_fill_their_width() -> None:
    text = lines("two", (1, 2, 4), {"a": (0.5, None, 1.0)}, "x", 1.0)
    assert text.count("<polyline") == 6 + 1
    assert 'points="60,170 580,40"' in text
    bars = stacks("<parts>", {"whole": (1.0, 3.0), "half": (1.0, 1.0)}, ("a", "b"), "x")
    assert "&lt;parts&gt;" in bars
    assert 'width="315" height="16"' in bars

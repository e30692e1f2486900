"""`./l3 reproduce` from end to end on a few requests, and its page."""

import json
from pathlib import Path

import pytest

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients.cli import main
from tests.root import ROOT

ONE = ["reproduce", "--only", "dolphin-short qwen-72b l3", "--requests", "3"]


def test_a_cell_is_run_kept_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    words = [*ONE, "--cache", str(tmp_path / "kept"), "--out", str(page)]
    assert main([*words, "--json"]) == 0
    told = capsys.readouterr()
    (cell,) = json.loads(told.out)["cells"]
    assert (cell["system"], cell["to"], cell["published"]) == ("l3", "gpu-only", 1.02)
    assert cell["as_published"] > 0
    assert cell["ours"] > 0
    assert cell["hypotheses"]["H3 L3 unbalanced"] > 0
    assert "l3: 1: l3-as-published, qwen-72b, dolphin-short:max=2048: done" in told.err
    text = page.read_text()
    shown = f"| dolphin-short | qwen-72b | l3 / gpu-only | 1.02 | {cell['as_published']:.2f} |"
    assert shown in text
    assert "## Capacity" not in text  # only what was asked for
    # What is kept gives the same page, and nothing runs.
    assert main([*ONE, "--cache", str(tmp_path / "kept"), "--kept"]) == 0
    assert capsys.readouterr().out == text


def test_nothing_is_run_for_a_page_of_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ONE, "--cache", str(tmp_path), "--kept"]) == 0
    told = capsys.readouterr()
    assert "l3 / gpu-only | 1.02 | - | - | - |" in told.out
    assert "runs of this page are still to be made" in told.out
    assert not told.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--only", "nowhere"], "--only: no cell is called 'nowhere'; name some of its words"),
        (["--jobs", "0"], "--jobs: must be a whole number from 1 to 256, got '0'"),
        (["--requests", "x"], "--requests: must be a whole number from 0 to 1000000, got 'x'"),
        (["--kept", "--out", "/no/such/folder/page.md"], "--out: cannot write to "),
    ],
)
def test_what_is_refused(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *words]) == 2
    assert capsys.readouterr().err.startswith(f"l3: error: {line}")


def test_the_page_that_is_kept_has_every_cell_and_says_how_it_was_made() -> None:
    text = (ROOT / "docs" / "generated" / "reproduce.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.count("|") == 10 and " / " in line]
    assert len(rows) == 56
    assert "do not edit" in text
    for heading in ("End to end", "Hypotheses", "Capacity", "Scaling", "Scheduler", "Energy"):
        assert f"\n## {heading}\n" in text

"""Behind docs/generated/comparison.md: the shipped machines of eight GPUs, what was printed, the page."""

import json
from pathlib import Path

import pytest

from benchmarks import comparison
from tests.root import ROOT


def test_every_shipped_machine_of_eight_gpus_is_compared() -> None:
    """But those under a source's own assumptions, which `./l3 reproduce` compares."""
    every = {path.stem for path in (ROOT / "machines").glob("*.yaml")} - {"l3-mini"}
    shipped = {name for name in every if not name.endswith("-as-published")}
    assert set(comparison.MACHINES) == shipped


def test_what_was_printed_stands_under_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(comparison, "MACHINES", ("l3-mini", "gpu-only-dgx-a100"))
    monkeypatch.setattr(comparison, "MODELS", ("llama-2-7b", "qwen-72b"))
    monkeypatch.setattr(comparison, "WORKLOADS", ("fixed:16:4", "openr1"))
    assert comparison.main(["--only", "llama-2-7b", "--only", "fixed:16:4", "--requests", "3"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    results = tmp_path / "results.jsonl"
    results.write_text(line + "\n")
    assert comparison.main(["--page", str(results)]) == 0
    page = capsys.readouterr().out
    command = (
        "`./l3 compare fixed:16:4 --model llama-2-7b --policy auto --machine l3-mini "
        "--machine gpu-only-dgx-a100 --requests 3`"
    )
    assert page.index("## llama-2-7b, fixed:16:4") < page.index(command) < page.index(found["printed"][:60])
    again = ["--skip", str(results), "--only", "llama-2-7b", "--only", "fixed:16:4"]
    assert comparison.main(again) == 0
    assert capsys.readouterr().out == ""


def test_a_comparison_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MACHINES", ("l3-mini", "l3-huge"))
    with pytest.raises(RuntimeError, match="l3-huge"):
        comparison.main(["--only", "opt-66b", "--only", "dolphin", "--requests", "3"])

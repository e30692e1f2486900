"""What a job left, as rows and text."""

import json
from pathlib import Path

import pytest

from l3sim.clients.result import Result
from l3sim.errors import NotFound
from tests.reports import GOLDEN, golden
from tests.root import ROOT

FILES = {
    "requests.jsonl": b'{"request": 0, "tbt_s": null}\n{"request": 1, "tbt_s": 0.5}\n',
    "decisions.jsonl": b'{"plan": 0}\n',
    "config.yaml": b"seed: 3\nsettings: []\n",
}


@pytest.fixture
def result() -> Result:
    return Result(golden(), FILES)


def test_files_are_rows(result: Result) -> None:
    assert result.requests == [{"request": 0, "tbt_s": None}, {"request": 1, "tbt_s": 0.5}]
    assert result.decisions == [{"plan": 0}]
    assert result.config == {"seed": 3, "settings": []}
    spans = Result(golden(), {**FILES, "spans.jsonl": b'{"task": "B"}\n', "regret.jsonl": b""})
    assert (spans.spans, spans.regret) == ([{"task": "B"}], [])


def test_what_was_not_asked_for_is_named_with_its_option(result: Result) -> None:
    with pytest.raises(NotFound, match=r"^job 3f2a91c07be45d18 left no spans\.jsonl; run it with spans=K$"):
        _ = result.spans
    with pytest.raises(NotFound, match="run it with regret=K"):
        _ = result.regret


def test_it_reads_as_the_command_prints_it(result: Result) -> None:
    assert f"{result}\n" == (ROOT / "tests" / "golden" / "report.txt").read_text()
    assert repr(result) == "<Result of job 3f2a91c07be45d18: gpt-175b on l3-dgx-a100, 2,054.3 tokens/s>"


def test_it_is_saved_as_out_does(result: Result, tmp_path: Path) -> None:
    written = result.save(str(tmp_path / "out"))
    assert [path.name for path in written] == ["report.json", *FILES]
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(GOLDEN)

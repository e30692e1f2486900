"""docs/python.md runs from top to bottom, and so does the notebook beside it."""

import re
import runpy
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.commands import Commands
from tests.root import ROOT

PAGE = ROOT / "docs" / "python.md"
#: A block, and what stands above it that it needs.
BLOCK = re.compile(
    r"^(?:<!-- needs (?P<needs>[^>]+) -->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def blocks() -> Iterator[tuple[str, str]]:
    """(what it needs, code), padded with lines so that a traceback names the page's."""
    text = PAGE.read_text()
    for found in BLOCK.finditer(text):
        above = text.count("\n", 0, found.start("code"))
        yield found["needs"] or "", "\n" * above + found["code"]


def run(wanted: set[str]) -> int:
    """Run the blocks that need nothing else, one after the other, in one namespace; how many."""
    namespace: dict[str, object] = {"__name__": "page"}
    count = 0
    for needs, code in blocks():
        if needs in wanted or not needs:
            exec(compile(code, str(PAGE), "exec"), namespace)
            count += 1
    return count


@pytest.mark.slow
def test_the_page_runs_against_a_machine_that_is_up(
    l3: Commands, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    up = l3.json("up", "--machine", "l3-mini", "--modules-per-process", "4", "--detach")
    monkeypatch.setenv("L3_ADDRESS", up["address"])
    wanted = {"a machine"} | ({"pandas"} if find_spec("pandas") else set())
    assert run(wanted) >= 11
    shown = capsys.readouterr().out
    assert "throughput  870.8 tokens/s" in shown
    assert "20 of 20" in shown
    assert {needs for needs, _ in blocks()} == {"", "pandas", "a machine"}


@pytest.mark.slow
def test_the_notebook_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "docs" / "examples" / "notebook.py"), run_name="__main__")
    shown = capsys.readouterr().out
    assert "one slow module of four takes" in shown
    cells = (ROOT / "docs" / "examples" / "notebook.py").read_text().count("\n# %% ")
    assert cells == 5

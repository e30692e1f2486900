"""docs/function.md: its example prints what it shows, and its table of places is true."""

import contextlib
import io
from pathlib import Path

from l3sim.services.dram.command.geometry import Geometry
from tests.pages import fenced

PAGE = (Path(__file__).parents[4] / "docs" / "function.md").read_text()


def test_the_example_prints_what_it_shows() -> None:
    (code,) = fenced(PAGE, "python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "docs/function.md", "exec"), {})
    (shown,) = fenced(PAGE, "text")
    assert printed.getvalue() == shown


def test_the_table_of_places_is_true() -> None:
    at = Geometry(8, 4, 16, 1024, 8, 128, 1, 2)
    head, element, token = 3, 70, 37
    part, dim = divmod(element, at.chip_elements)
    chip = head * at.chips_per_head + part
    block, bank, first = at.k_place(token)
    column, inside = divmod(dim, at.column_elements)
    rows = [("K", chip, bank, block, first + column, inside)]
    block, bank, column, inside = at.v_place(token, dim)
    rows.append(("V", chip, bank, block, column, inside))
    for row in rows:
        assert "| " + " | ".join(map(str, row)) + " |" in PAGE

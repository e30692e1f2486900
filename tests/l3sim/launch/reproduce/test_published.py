"""The published figures: all there, each with its source, and read by nothing that computes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from l3sim.launch.reproduce.published import SYSTEMS, Published, load_published
from l3sim.specs.catalog import model_names
from l3sim.specs.lengths import PUBLISHED
from tests.root import ROOT

FIGURES = load_published()
SOURCES = ("l3sim", "services", "orchestrator", "clients", "benchmarks", "scripts")


def test_the_table_has_56_cells_of_twelve_rows() -> None:
    rows = FIGURES.end_to_end
    assert len({(row.workload, row.model) for row in rows}) == len(rows) == 12
    assert sum(len(row.cells) for row in rows) == 56
    assert {row.workload for row in rows} == set(PUBLISHED)
    assert {row.model for row in rows} <= set(model_names())
    for row in rows:
        assert row.to in SYSTEMS
        assert row.to not in row.cells
        assert all(0 < value < 5 for value in row.cells.values())


def test_a_row_that_is_relative_to_l3_has_no_system_that_ran_out_of_memory() -> None:
    row = next(row for row in FIGURES.end_to_end if row.to == "l3")
    assert row.cells == {"hbm-pim-ext": 0.44, "cpu": 0.04, "r-pim": 0.14}


def rows(value: Any) -> Iterator[dict[str, Any]]:
    for part in value.values():
        yield from [part] if isinstance(part, dict) else part


def test_every_row_says_where_it_stands_and_has_as_many_values_as_it_has_steps() -> None:
    for row in rows(msgspec.to_builtins(FIGURES)):
        assert row["source"].startswith("v2, ")
        lengths = {len(value) for value in row.values() if isinstance(value, list)}
        assert len(lengths) <= 1, row


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({**msgspec.to_builtins(FIGURES), "more": []}, Published)


def test_no_model_and_no_policy_reads_them() -> None:
    readers, importers = set(), set()
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
            if "published.yaml" in text:
                readers.add(name)
            if "launch.reproduce" in text:
                importers.add(name)
    here = "l3sim/launch/reproduce"
    assert readers == {f"{here}/__init__.py", f"{here}/published.py"}
    assert {name for name in importers if not name.startswith(here)} == {"l3sim/launch/cli.py"}


def test_the_file_is_in_the_package() -> None:
    assert '"data/*.yaml"' in Path(ROOT / "pyproject.toml").read_text(encoding="utf-8")

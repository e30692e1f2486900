"""What text that no checker reads imports of ours: scripts in strings of tests, and Python on pages."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import PAGES, fenced
from tests.root import ROOT

#: One statement, on one line or in parentheses.
IMPORT = re.compile(r"^[ \t]*from (l3sim[\w.]*) import (\([^)]*\)|[^\n;\"']+)", re.MULTILINE)


def imports_of(text: str) -> Iterator[tuple[str, str]]:
    """Module and name of each `from l3sim... import name`."""
    for module, names in IMPORT.findall(text):
        for name in re.sub(r"#.*", "", names).strip("() \t").split(","):
            if word := name.split(" as ")[0].strip():
                yield module, word


def written() -> Iterator[tuple[str, str, str]]:
    """Where, module and name."""
    for path in sorted({*(ROOT / "tests").rglob("*.py")} - {Path(__file__)}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for found in imports_of(node.value):
                    yield str(path.relative_to(ROOT)), *found
    for page, text in PAGES.items():
        for block in fenced(text, "python"):
            for found in imports_of(block):
                yield page, *found


def there_is(module: str, name: str) -> bool:
    """Whether a module can be imported and offers a name, or is a package with a module of it."""
    try:
        if hasattr(importlib.import_module(module), name):
            return True
        importlib.import_module(f"{module}.{name}")
    except ImportError:
        return False
    return True


def test_every_import_in_a_string_and_on_a_page_can_be_made() -> None:
    found = list(written())
    assert {where for where, _, _ in found} >= {"tests/packaging/test_wheel.py", "docs/policies.md"}
    missing = [one for one in found if not there_is(one[1], one[2])]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from l3sim import a, b as c", [("l3sim", "a"), ("l3sim", "b")]),
        ("x\n    from l3sim.y import (\n  a,  # one\n  b,\n)", [("l3sim.y", "a"), ("l3sim.y", "b")]),
        ("from l3sim.y import a; a()", [("l3sim.y", "a")]),
        ("from elsewhere import a", []),
    ],
)
def test_statements_are_found(text: str, found: list[tuple[str, str]]) -> None:
    assert list(imports_of(text)) == found


def test_a_name_that_is_not_there_is_seen() -> None:
    assert there_is("l3sim", "launch")
    assert not there_is("l3sim.clients.client", "L3Client")
    assert not there_is("l3sim.nowhere", "anything")

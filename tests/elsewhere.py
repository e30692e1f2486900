"""Which modules of ours have no test file of their name, and where they are tested instead.

    .venv/bin/python -m tests.elsewhere        writes the table of tests/README.md anew

A line that stands in the table and still holds is kept, so that a better choice by hand survives. A new
line names the tests that import the module, those nearest to it first; or, where none does, those of the
modules that use it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp

from tests.public_names import modules
from tests.root import ROOT

README = ROOT / "tests" / "README.md"
HEADING = "## Tested elsewhere"
INTRODUCTION = """
Every module has a test file of its name, in the folder of `tests/` that mirrors its own: `test_NAME.py`, or
several that begin so. These have not; `.venv/bin/python -m tests.elsewhere` keeps the table, and
`tests/test_elsewhere.py` holds it against the tree.

| module | tested in |
|---|---|
"""
#: Tests of a module at most that a line names.
MOST = 2
_QUOTED = re.compile(r'"(l3sim(?:\.\w+)*)"')
_ROW = re.compile(r"^\| `([^`|]+)` \| (.+) \|$", re.M)


def files() -> dict[str, str]:
    """Modules that hold code, by file, relative to the repository: the name that each is imported under."""
    found = {path.resolve().relative_to(ROOT).as_posix(): module for module, path in modules()}
    for folder in ("scripts", "benchmarks"):
        for path in (ROOT / folder).glob("*.py"):
            found[f"{folder}/{path.name}"] = f"{folder}.{path.stem}"
    return {file: module for file, module in sorted(found.items()) if _has_code(ROOT / file)}


def _has_code(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return path.name != "__init__.py" or any(
        isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body
    )


def own_tests(file: str) -> list[str]:
    """Test files of a module's name, in the folder that mirrors its own."""
    path = Path(file)
    if path.name == "__init__.py":
        path = path.parent
    folder, name = ROOT / "tests" / path.parent, path.stem.strip("_")
    found = [*folder.glob(f"test_{name}.py"), *folder.glob(f"test_{name}_*.py")]
    return sorted(test.relative_to(ROOT).as_posix() for test in found)


def listed() -> dict[str, list[str]]:
    """Lines of the table: the tests that each module's line names."""
    table = README.read_text().partition(HEADING)[2].split("\n## ")[0]
    return {module: re.findall(r"`([^`]+)`", tests) for module, tests in _ROW.findall(table)}


def imported_by(test: Path) -> set[str]:
    """Whatever a test file imports, submodules by their full names."""
    found = set()
    for node in ast.walk(ast.parse(test.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


class Reach:
    """Which modules of ours a test comes to: those that it imports, or starts in a process by name."""

    def __init__(self) -> None:
        self._graph = grimp.build_graph("l3sim", "scripts", "benchmarks", "tests", cache_dir=None)

    def __call__(self, test: str, module: str) -> bool:
        """Whether a test file, or a helper of the tests that it imports, leads to a module."""
        name = _module_of(test)
        helpers = [one for one in self._graph.find_upstream_modules(name) if one.startswith("tests.")]
        if self._graph.chain_exists(importer=name, imported=module):
            return True
        started = {
            word for one in (name, *helpers) for word in self._started(ROOT / f"{one.replace('.', '/')}.py")
        }
        return any(
            one == module or self._graph.chain_exists(importer=one, imported=module) for one in started
        )

    def _started(self, path: Path) -> Iterator[str]:
        """Modules that a file names in quotes alone, as `python -m` takes them."""
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for word in _QUOTED.findall(text):
            yield from {word, f"{word}.__main__"} & self._graph.modules


def _module_of(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")


def choices() -> dict[str, list[str]]:
    """For each module without tests of its own, those that a new line would name."""
    ours = files()
    graph = grimp.build_graph("l3sim", "scripts", "benchmarks", cache_dir=None)
    tests = {path.relative_to(ROOT).as_posix(): imported_by(path) for path in _test_files()}
    file_of = {module: file for file, module in ours.items()}

    def near(module: str, file: str) -> list[str]:
        home = Path("tests", file).parent.parts
        found = [test for test, imported in tests.items() if module in imported]
        # First those in the nearest folder; of these, those that are about the fewest modules.
        found.sort(key=lambda test: (-_shared(Path(test).parts, home), len(tests[test]), test))
        return found[:MOST]

    def by_users(file: str) -> list[str]:
        seen, ring = {ours[file]}, {ours[file]}
        while ring:
            ring = {
                user
                for one in ring
                if one in graph.modules
                for user in graph.find_modules_that_directly_import(one)
            }
            ring -= seen
            seen |= ring
            found = {test for one in sorted(ring) if one in file_of for test in own_tests(file_of[one])}
            found = found or {
                test for one in sorted(ring) if one in file_of for test in near(one, file_of[one])
            }
            if found:
                home = Path("tests", file).parent.parts
                return sorted(found, key=lambda test: (-_shared(Path(test).parts, home), test))[:MOST]
        return []

    return {
        file: near(module, file) or by_users(file) for file, module in ours.items() if not own_tests(file)
    }


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _test_files() -> Iterator[Path]:
    return iter(sorted((ROOT / "tests").rglob("test_*.py")))


def table() -> str:
    """The section of tests/README.md, old lines kept where they still hold."""
    before = listed() if README.exists() else {}
    lines = []
    for file, tests in choices().items():
        kept = before.get(file, [])
        chosen = kept if kept and all((ROOT / test).is_file() for test in kept) else tests
        lines.append(f"| `{file}` | {', '.join(f'`{test}`' for test in chosen)} |\n")
    return f"{HEADING}\n{INTRODUCTION}{''.join(lines)}"


def main() -> None:
    """Write the table."""
    text = README.read_text() if README.exists() else "# Tests\n\n"
    before, _, rest = text.partition(HEADING)
    after = rest.partition("\n## ")[2]
    README.write_text(before + table() + (f"\n## {after}" if after else ""))


if __name__ == "__main__":
    main()

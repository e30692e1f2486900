"""The names that modules of ours offer: what `__all__` says in each, read without running it.

    .venv/bin/python -m tests.public_names > tests/golden/public-names.txt

makes a change of them a decision, which the difference of that file shows.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.root import ROOT

GOLDEN = ROOT / "tests" / "golden" / "public-names.txt"


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package, by the name that it is imported under, and its file."""
    for link in (ROOT / "l3sim", *sorted(path for path in (ROOT / "l3sim").iterdir() if path.is_symlink())):
        for path in sorted(link.rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "v1" not in parts and "data" not in parts:
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def public_names(path: Path) -> list[str]:
    """What a file's `__all__` lists, in order of the alphabet; nothing where it has none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = getattr(node, "value", None)
            return sorted(ast.literal_eval(value)) if value is not None else []
    return []


def listing() -> str:
    """A line a name: module, a blank, name."""
    return "".join(f"{module} {name}\n" for module, path in modules() for name in public_names(path))


if __name__ == "__main__":
    print(listing(), end="")

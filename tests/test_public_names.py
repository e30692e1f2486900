"""Names that others may import change by decision only."""

import importlib

from tests.public_names import GOLDEN, listing, modules, public_names


def test_public_names_are_those_of_the_golden_file() -> None:
    assert listing() == GOLDEN.read_text(), (
        "run: .venv/bin/python -m tests.public_names > tests/golden/public-names.txt"
    )


def test_every_public_name_is_there() -> None:
    offered = [(module, name) for module, path in modules() for name in public_names(path)]
    assert len(offered) > 30
    assert [one for one in offered if not hasattr(importlib.import_module(one[0]), one[1])] == []

"""A name -> thing table."""

import pytest

from l3sim.errors import InvalidInput
from l3sim.registry import Registry, unknown


@pytest.fixture
def shapes() -> Registry[type]:
    registry: Registry[type] = Registry("shape")

    @registry.register("square")
    class Square:
        pass

    registry.register("circle")(int)
    assert registry.get("square") is Square
    return registry


def test_members_are_listed_by_name(shapes: Registry[type]) -> None:
    assert list(shapes) == ["circle", "square"]
    assert "circle" in shapes
    assert "line" not in shapes


def test_a_name_is_taken_once(shapes: Registry[type]) -> None:
    with pytest.raises(ValueError, match="shape 'circle' is registered twice"):
        shapes.register("circle")(str)
    assert shapes.get("circle") is int


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sqare", "shape: unknown shape 'sqare'; did you mean 'square'? (there are: circle, square)"),
        ("", "shape: unknown shape '' (there are: circle, square)"),
    ],
)
def test_an_unknown_name_lists_what_there_is(shapes: Registry[type], name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        shapes.get(name)
    assert str(refused.value) == text


def test_unknown_takes_any_names() -> None:
    assert unknown("key", "b", {"z": 1, "a": 2}) == "unknown key 'b' (there are: a, z)"

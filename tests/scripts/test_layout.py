"""Rooms, arrows and circles, on houses small enough to count by hand."""

from pathlib import Path

import pytest

from scripts import layout


def test_modules_of_one_room_are_one_and_what_has_no_room_is_left_out() -> None:
    imports = {
        "l3sim.orchestrator.job.slo": {"l3sim.orchestrator.engine.tokens", "l3sim.errors"},
        "l3sim.orchestrator.job.slots": {"l3sim.orchestrator.engine.tokens", "l3sim.orchestrator.job.slo"},
        "l3sim.orchestrator.engine.tokens": set[str](),
        "l3sim.errors": set[str](),
    }
    assert layout.drawn(imports, layout.orchestrator_room) == {"job": {"engine"}, "engine": set()}
    assert layout.drawn(imports, layout.house_room)["orchestrator"] == {"errors"}


@pytest.mark.parametrize(
    ("arrows", "circles", "upward"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, [], []),
        ({"a": {"b"}, "b": {"a"}}, [{"a", "b"}], [("a", "b")]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"b"}}, [{"a", "b", "c", "d"}], [("b", "c")]),
    ],
)
def test_circles_and_the_arrows_that_close_them(
    arrows: dict[str, set[str]], circles: list[set[str]], upward: list[tuple[str, str]]
) -> None:
    assert layout.circles(arrows) == circles
    assert layout.upward(arrows) == upward


@pytest.mark.parametrize(
    ("module", "room"),
    [("launch.cli", "launch"), ("l3sim.launch.cli", "launch"), ("l3sim.specs.job", "specs"), ("l3sim", "")],
)
def test_rooms_have_one_name_before_and_after_the_move(module: str, room: str) -> None:
    assert layout.house_room(module) == room


def test_this_house_has_no_arrow_upwards_between_rooms(capsys: pytest.CaptureFixture[str]) -> None:
    found = layout.measured(layout.ROOT)
    assert found["the house, opened"][2:] == found["orchestrator/, opened"][2:] == (0, 0)
    layout.main([str(layout.ROOT), str(layout.ROOT)])
    assert f"{found['the house, opened'][0]} -> {found['the house, opened'][0]}" in capsys.readouterr().out


def test_a_checkout_of_the_old_layout_is_read(tmp_path: Path) -> None:
    for package, text in (("l3sim", ""), ("clients", "import l3sim\n"), ("launch", "import clients\n")):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(text)
    assert layout.imports_of(tmp_path) == {"l3sim": set(), "clients": {"l3sim"}, "launch": {"clients"}}

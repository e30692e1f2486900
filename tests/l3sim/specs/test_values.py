"""A struct that refuses its values: one line that names the section, whatever a stranger's code raises."""

from typing import Any

import msgspec
import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.foreign import LinkSection
from l3sim.specs.values import fill


class Plain(msgspec.Struct):
    rate: float
    fault: str = ""

    def __post_init__(self) -> None:
        if self.fault:
            raise {"value": ValueError, "key": KeyError, "zero": ZeroDivisionError}[self.fault]("too\nslow")


class Checked(LinkSection, frozen=True, kw_only=True):
    rate: float

    def check(self, where: str) -> None:
        raise InvalidInput(("link.rate", f"{where}: no")) if self.rate < 0 else ArithmeticError("odd")


def test_values_fill_a_struct() -> None:
    assert fill("link", Plain, {"rate": 3.0}, "here") == Plain(3.0)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("value", "link: here: too slow"),
        ("key", "KeyError: "),
        ("zero", "ZeroDivisionError: too slow (line "),
    ],
)
def test_what_a_struct_raises_of_its_values_is_a_line(fault: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        fill("link", Plain, {"rate": 3.0, "fault": fault}, "here")
    assert str(caught.value).startswith("link: here: ")
    assert told in str(caught.value)
    assert (__file__ in str(caught.value)) == (fault != "value")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("rate", "told"), [(-1.0, "link.rate: here: no"), (1.0, "ArithmeticError: odd")])
def test_what_a_check_raises_is_a_line(rate: float, told: str) -> None:
    values: dict[str, Any] = {"kind": "mine", "rate": rate}
    with pytest.raises(InvalidInput) as caught:
        fill("link", Checked, values, "here")
    assert told in str(caught.value)

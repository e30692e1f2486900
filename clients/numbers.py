"""Numbers on the command line, each refused with one line that says what it must be."""

import math
import re
from collections.abc import Callable

from l3sim.errors import InvalidInput

_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")


def whole(option: str, least: int, most: int) -> Callable[[object], int]:
    """A parser of whole numbers from `least` to `most`, for typer.

    The parser raises InvalidInput, which typer lets through.
    """

    def parse(value: object) -> int:
        text = str(value)
        if not (_WHOLE.fullmatch(text) and least <= int(text) <= most):
            raise InvalidInput((option, f"must be a whole number from {least} to {most}, got {text!r}"))
        return int(text)

    return parse


def positive(option: str, most: float, unit: str) -> Callable[[object], float]:
    """A parser of numbers above 0 and at most `most`, for typer; raises InvalidInput as `whole` does."""

    def parse(value: object) -> float:
        text = str(value)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number <= most:  # false of nan, too
            raise InvalidInput(
                (option, f"must be a number above 0 and at most {most:g} {unit}, got {text!r}")
            )
        return number

    return parse


def pairs(option: str, text: str) -> tuple[tuple[str, float], ...]:
    """A list `name:number,name:number`; none of an empty text. What the names mean is checked elsewhere.

    Raises:
        InvalidInput: it is not of that form.
    """
    found = []
    for item in text.split(",") if text else []:
        name, _, number = item.partition(":")
        try:
            found.append((name.strip(), float(number)))
        except ValueError:
            raise InvalidInput(
                (option, f"must be a list like name:number,name:number, got {text!r}")
            ) from None
    return tuple(found)


def shares(option: str, text: str) -> tuple[tuple[int, float], ...]:
    """A list of whole numbers and their shares, `0:0.9,5:0.1`.

    Raises:
        InvalidInput: it is not of that form.
    """
    found = []
    for name, share in pairs(option, text):
        if not (name.isascii() and name.isdigit() and len(name) < 10):
            raise InvalidInput((option, f"must be a list like 0:0.9,5:0.1, got {text!r}"))
        found.append((int(name), share))
    return tuple(found)

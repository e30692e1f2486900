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

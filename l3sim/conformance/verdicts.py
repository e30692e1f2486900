"""What a check can come to, and how it says so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from l3sim.conformance.subject import Subject


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "FAILED"
    SKIPPED = "skipped"


class Failed(Exception):
    """Raised when the device breaks a promise of the contract; the text says which, in one line."""


class Skipped(Exception):
    """Raised when the device never gave the promise that is asked for."""


@dataclass(frozen=True)
class Check:
    """One question.

    Attributes:
        name: as reports show it.
        promise: what holds when it passes.
        ask: raises Failed or Skipped.
        needs: names of checks without which this one would only fail for their reasons.
    """

    name: str
    promise: str
    ask: Callable[["Subject"], Awaitable[None]]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What one check came to.

    Attributes:
        text: why it failed or was skipped; "" when it passed.
        wall_s: wall-clock time that it took.
    """

    name: str
    promise: str
    verdict: Verdict
    text: str
    wall_s: float

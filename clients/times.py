"""Time stamps of traces, exactly: decimals in, integer picoseconds out, no float between."""

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

from l3sim.units import PS_PER_S

#: A trace may last as long as open-loop arrivals may (l3sim.specs.arrivals.arrivals_ps): 11.6 days.
MAX_SPAN_S = 10**6
#: No number of seconds is above this; the year 9999 is not.
MAX_EPOCH_S = 10**12
#: Digits of a time that are kept exactly; epoch seconds take ten of them, picoseconds twelve.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
_LONGEST = 40
_PS = Decimal(PS_PER_S)

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", re.ASCII)


def time_s(text: str) -> Decimal:
    """Read a time: seconds as a number, or a date and time of day with any number of decimals.

    Returns:
        Seconds since an arbitrary start, exactly. A date without a zone counts as UTC.

    Raises:
        ValueError: it is neither; the message says what a time looks like.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"must be a time of at most {_LONGEST} characters, got {text[:_LONGEST]!r}...")
    if stamp := _STAMP.fullmatch(text):
        day, clock, decimals, zone = stamp.groups()
        return Decimal(f"{_epoch_s(day + 'T' + clock + (zone or 'Z'))}.{decimals or 0}")
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    raise ValueError(f"must be a time like 2023-11-16 18:17:03.9799600 or seconds like 12.5, got {text!r}")


@lru_cache(maxsize=4096)  # neighbours in a trace share their second
def _epoch_s(stamp: str) -> int:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        raise ValueError(f"must be a time that exists, got {stamp.removesuffix('Z')!r}") from None
    if moment.year < 1970:
        raise ValueError(f"must be a time from 1970 on, got {stamp.removesuffix('Z')!r}")
    return int(moment.astimezone(UTC).timestamp())


class Timeline:
    """Turns successive times of a trace into picoseconds since the first one."""

    def __init__(self) -> None:
        self._first: Decimal | None = None
        self._last_ps = 0

    def ps(self, time: Decimal) -> int:
        """Picoseconds since the first time, rounded half up.

        Raises:
            ValueError: negative, before the one above it, or too far from the first.
        """
        if not 0 <= time <= MAX_EPOCH_S:
            raise ValueError(f"must be 0 to {MAX_EPOCH_S} seconds, got {time}")
        if self._first is None:
            self._first = time
        since = _EXACT.subtract(time, self._first)
        if since > MAX_SPAN_S:
            raise ValueError(f"is more than {MAX_SPAN_S} s after the first one")
        ps = int(_EXACT.to_integral_value(_EXACT.multiply(since, _PS)))
        if ps < self._last_ps:
            raise ValueError("is before the one above it; sort the trace by time")
        self._last_ps = ps
        return ps

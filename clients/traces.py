"""Readers of request traces: lengths and times, nothing else.

Azure CSV (the Azure Public Dataset's LLM inference traces), by header:

    TIMESTAMP,ContextTokens,GeneratedTokens
    2023-11-16 18:17:03.9799600,4808,10

JSON lines, an object a line; `arrival_s` (a number of seconds) or `timestamp` (seconds, or a date and time
as text) stands in every line or in none, and in none all requests arrive at time 0:

    {"arrival_s": 0.25, "prompt_tokens": 4808, "output_tokens": 10}

A line may also have `priority` (0, the usual one, to 9, the most urgent) and `max_output_tokens` (a limit
that the request's output is cut to), and may name what its prompt has in common with others': `prefix_id`
(text or a whole number) and `prefix_tokens`. Requests of one prefix_id have the same first tokens, as many
as the smaller of theirs says. All these are for JSON lines only.

Further columns and keys are left alone. The first time is 0; lines stand in order of time. What is refused
is refused as `file:line: message`, the first such line only.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from l3sim.clients.times import Timeline, time_s
from l3sim.errors import InvalidInput
from l3sim.specs.lengths import MAX_TOKENS
from l3sim.specs.requests import MAX_PRIORITY, MAX_REQUESTS, Prefixes, Requests

CSV_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}
#: A file above this is no list of lengths and times.
MAX_FILE_BYTES = 2**30

#: (line, arrival_ps, prompt, output, priority, limit, number of the prefix or 0, tokens of it)
Row = tuple[int, int, int, int, int, int, int, int]


class _Refused(ValueError):
    """What is wrong with one line."""

    def __init__(self, line: int, message: object) -> None:
        super().__init__(str(message))
        self.line = line


class _Float(str):
    """A JSON number that is no whole one, as it is written."""

    __slots__ = ()


_DECODE = msgspec.json.Decoder(float_hook=_Float).decode


def read_trace(path: Path, limit: int | None = None) -> Requests:
    """Read a trace, its form told by the file's extension, else by its first character.

    Args:
        limit: take only the first N requests.

    Raises:
        InvalidInput: the file cannot be read, a line is refused, or there are fewer than `limit` requests.
    """
    data = _bytes_of(path)
    try:
        text = _text_of(data)
        rows = _reader_of(path, text)(text.rstrip("\r\n").split("\n"))
        requests = _requests(rows, MAX_REQUESTS if limit is None else limit)
    except _Refused as error:
        raise InvalidInput(("", f"{path}:{error.line}: {error}")) from None
    if limit is None and next(rows, None) is not None:
        raise InvalidInput(("workload", f"{path} has more than {MAX_REQUESTS} requests; use --requests"))
    if limit is not None and len(requests) < limit:
        raise InvalidInput(("workload.requests", f"{path} has {len(requests)} requests, fewer than {limit}"))
    return requests


def _bytes_of(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InvalidInput(("workload", f"{str(path)!r} is a folder, not a trace file"))
        if not path.exists():
            raise InvalidInput(("workload", f"no trace file {str(path)!r}"))
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidInput(("workload", f"{path} is larger than {MAX_FILE_BYTES} bytes; split it"))
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(("workload", f"cannot read {path}: {error.strerror}")) from None


def _text_of(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Refused(data.count(b"\n", 0, error.start) + 1, "is not UTF-8 text") from None
    if not text.strip():
        raise _Refused(1, "the file is empty")
    return text


def _reader_of(path: Path, text: str) -> Callable[[list[str]], Iterator[Row]]:
    suffix = path.suffix.lower()
    if suffix in JSON_SUFFIXES or (suffix != ".csv" and text.lstrip().startswith("{")):
        return _json_rows
    return _csv_rows


def _requests(rows: Iterator[Row], most: int) -> Requests:
    # Flattened straight into a typed array: a million lines never exist as a million tuples.
    flat = np.fromiter(chain.from_iterable(islice(rows, most)), dtype=np.int64).reshape(-1, 8)
    columns = (np.ascontiguousarray(column) for column in flat.T)
    line, arrival_ps, prompt, output, priority, limit, prefix, tokens = columns
    return Requests(
        prompt,
        output,
        arrival_ps,
        line,
        prefixes=Prefixes(prefix, tokens) if prefix.any() else None,
        priority=priority if priority.any() else None,
        limit=limit if (limit < MAX_TOKENS).any() else None,
    )


def _csv_rows(lines: list[str]) -> Iterator[Row]:
    header = [name.strip() for name in lines[0].split(",")]
    missing = [name for name in CSV_COLUMNS if name not in header]
    if missing:
        text = f"wrong header: no column {', '.join(missing)} (needs {','.join(CSV_COLUMNS)})"
        raise _Refused(1, text)
    if len(lines) == 1:
        raise _Refused(1, "no requests below the header")
    time_at, prompt_at, output_at = (header.index(name) for name in CSV_COLUMNS)
    timeline = Timeline()
    for number, line in enumerate(lines[1:], start=2):
        fields = line.rstrip("\r").split(",")
        try:
            if len(fields) != len(header):
                raise ValueError(f"has {len(fields)} columns, the header has {len(header)}")
            arrival_ps = _arrival_ps(timeline, CSV_COLUMNS[0], fields[time_at])
            prompt = _whole(CSV_COLUMNS[1], fields[prompt_at])
            output = _whole(CSV_COLUMNS[2], fields[output_at])
        except ValueError as error:
            raise _Refused(number, error) from None
        yield number, arrival_ps, prompt, output, 0, MAX_TOKENS, 0, 0


def _whole(name: str, text: str) -> int:
    # isdigit alone lets other scripts' digits through, int() alone underscores and blanks.
    if len(text) <= 20 and text.isascii() and text.isdigit():
        return _tokens(name, int(text))
    return _tokens(name, text)


def _json_rows(lines: list[str]) -> Iterator[Row]:
    timeline = Timeline()
    time_key: str | None = None
    prefixes: dict[str | int, int] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = _entry(line)
            key = _time_key(entry)
            if number == 1:
                time_key = key
            if key != time_key:
                raise ValueError(f"has {key or 'no time'} where line 1 has {time_key or 'no time'}")
            arrival_ps = 0 if key is None else _arrival_ps(timeline, key, entry[key])
            prompt = _tokens("prompt_tokens", _of(entry, "prompt_tokens"))
            output = _tokens("output_tokens", _of(entry, "output_tokens"))
            priority = _number("priority", entry.get("priority", 0), 0, MAX_PRIORITY)
            limit = _tokens("max_output_tokens", entry.get("max_output_tokens", MAX_TOKENS))
            prefix, common = _prefix(entry, prompt, prefixes)
        except ValueError as error:
            raise _Refused(number, error) from None
        yield number, arrival_ps, prompt, output, priority, limit, prefix, common


def _prefix(entry: dict[str, Any], prompt: int, known: dict[str | int, int]) -> tuple[int, int]:
    """Number (from 1, in order of appearance) and tokens of a line's prefix; 0 and 0 without one."""
    if "prefix_id" not in entry and "prefix_tokens" not in entry:
        return 0, 0
    name, tokens = _of(entry, "prefix_id"), _tokens("prefix_tokens", _of(entry, "prefix_tokens"))
    if type(name) is not str and type(name) is not int:
        raise ValueError(f"prefix_id must be text or a whole number, got {_short(repr(name))}")
    if tokens > prompt:
        raise ValueError(f"prefix_tokens must be at most prompt_tokens ({prompt}), got {tokens}")
    return known.setdefault(name, len(known) + 1), tokens


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = _DECODE(line)
    except msgspec.DecodeError as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(entry, dict):
        raise ValueError("must be a JSON object with prompt_tokens and output_tokens")
    return entry


def _time_key(entry: dict[str, Any]) -> str | None:
    if "arrival_s" in entry and "timestamp" in entry:
        raise ValueError("has both arrival_s and timestamp; keep one")
    return "arrival_s" if "arrival_s" in entry else "timestamp" if "timestamp" in entry else None


def _of(entry: dict[str, Any], key: str) -> object:
    if key not in entry:
        raise ValueError(f"has no {key}")
    return entry[key]


def _tokens(name: str, value: object) -> int:
    return _number(name, value, 1, MAX_TOKENS)


def _number(name: str, value: object, least: int, most: int) -> int:
    # `type` rather than isinstance: true is no number.
    if type(value) is int and least <= value <= most:
        return value
    shown = str(value) if isinstance(value, int | _Float) else repr(value)
    raise ValueError(f"{name} must be a whole number from {least} to {most}, got {_short(shown)}")


def _arrival_ps(timeline: Timeline, name: str, value: object) -> int:
    try:
        if type(value) is int:
            time = Decimal(value)
        elif isinstance(value, _Float) or (isinstance(value, str) and name != "arrival_s"):
            time = time_s(value)
        else:
            raise ValueError(f"must be a number of seconds, got {_short(repr(value))}")
        return timeline.ps(time)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."

"""The requests of a job in arrays, and the check of those that a trace lists."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.specs.arrivals import LAST_PS
from l3sim.specs.lengths import MAX_TOKENS
from l3sim.units import PS_PER_S, Int64s

#: In one job.
MAX_REQUESTS = 10_000_000
#: Levels of priority: 0, the usual one, to this, the most urgent one.
MAX_PRIORITY = 9


@dataclass(frozen=True)
class Prefixes:
    """What prompts have in common: a request's first tokens are those of a numbered text.

    Attributes:
        number: of the text, 0 for none; int64, shape (n,).
        tokens: how many of the prompt's tokens are its first ones, 0 for none; int64, shape (n,).
    """

    number: Int64s
    tokens: Int64s


@dataclass(frozen=True)
class Requests:
    """Requests in order of arrival.

    Attributes:
        prompt, output: tokens, int64, shape (n,).
        arrival_ps: since the job's start, int64, shape (n,).
        line: line of the trace that each came from, or its number from 1, shape (n,).
        prefixes: what their prompts have in common; None: nothing is known of it.
        priority: 0 to MAX_PRIORITY, more is more urgent, shape (n,); None: all 0.
        limit: output tokens that each may make at most, shape (n,); None: there is no limit.
        cut: how many would have made more than their limit; `requests_of` counts them.
    """

    prompt: Int64s
    output: Int64s
    arrival_ps: Int64s
    line: Int64s
    prefixes: Prefixes | None = None
    priority: Int64s | None = None
    limit: Int64s | None = None
    cut: int = 0

    def __len__(self) -> int:
        return len(self.prompt)

    def first(self, count: int) -> "Requests":
        """The first so many of them."""

        def cut(column: Int64s | None) -> Any:
            return None if column is None else column[:count]

        known = self.prefixes
        return Requests(
            cut(self.prompt),
            cut(self.output),
            cut(self.arrival_ps),
            cut(self.line),
            None if known is None else Prefixes(cut(known.number), cut(known.tokens)),
            cut(self.priority),
            cut(self.limit),
        )


def check_listed(listed: Requests) -> Requests:
    """Check listed requests and hand them back.

    Raises:
        InvalidInput: naming the line of the first that is refused.
    """
    if len(listed) == 0:
        raise InvalidInput(("workload", "has no requests"))
    if len(listed) > MAX_REQUESTS:
        raise InvalidInput(("workload", f"has {len(listed)} requests; at most {MAX_REQUESTS} go in one job"))
    lengths = {len(listed.prompt), len(listed.output), len(listed.arrival_ps), len(listed.line)}
    if len(lengths) > 1:
        raise InvalidInput(("workload.listed", "prompt_tokens, output_tokens, arrival_ps differ in length"))
    for what, tokens in (("prompt_tokens", listed.prompt), ("output_tokens", listed.output)):
        bad = np.flatnonzero((tokens < 1) | (tokens > MAX_TOKENS))
        if len(bad):
            line, got = listed.line[bad[0]], tokens[bad[0]]
            field = f"workload.listed.{what}[{bad[0]}]"
            raise InvalidInput((field, f"line {line}: must be 1 to {MAX_TOKENS}, got {got}"))
    _check_listed_extras(listed)
    if int(listed.arrival_ps.max()) > LAST_PS:
        raise InvalidInput(("workload.listed.arrival_ps", f"a request comes after {LAST_PS // PS_PER_S} s"))
    if listed.prefixes is not None:
        _check_prefixes(listed, listed.prefixes)
    late = np.flatnonzero(np.diff(listed.arrival_ps, prepend=0) < 0)
    if len(late):
        field = f"workload.listed.arrival_ps[{late[0]}]"
        raise InvalidInput((field, f"line {listed.line[late[0]]}: time is before the request above it"))
    return listed


def _check_prefixes(listed: Requests, prefixes: Prefixes) -> None:
    if not len(prefixes.number) == len(prefixes.tokens) == len(listed):
        raise InvalidInput(("workload.listed", "prefix, prefix_tokens, prompt_tokens differ in length"))
    named = prefixes.number > 0
    least, most = np.where(named, 1, 0), np.where(named, listed.prompt, 0)
    bad = np.flatnonzero((prefixes.tokens < least) | (prefixes.tokens > most) | (prefixes.number < 0))
    if len(bad):
        one = bad[0]
        text = f"must be {least[one]} to {most[one]} with prefix {prefixes.number[one]}"
        text = f"line {listed.line[one]}: {text}, got {prefixes.tokens[one]}"
        raise InvalidInput((f"workload.listed.prefix_tokens[{one}]", text))


def _check_listed_extras(listed: Requests) -> None:
    """Priorities and limits of a trace."""
    for what, values, least, most in (
        ("priority", listed.priority, 0, MAX_PRIORITY),
        ("max_output_tokens", listed.limit, 1, MAX_TOKENS),
    ):
        if values is None:
            continue
        if len(values) != len(listed):
            raise InvalidInput(
                (f"workload.listed.{what}", f"must be as long as prompt_tokens ({len(listed)})")
            )
        bad = np.flatnonzero((values < least) | (values > most))
        if len(bad):
            text = f"line {listed.line[bad[0]]}: must be {least} to {most}, got {values[bad[0]]}"
            raise InvalidInput((f"workload.listed.{what}[{bad[0]}]", text))

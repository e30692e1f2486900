"""The page of `python -m benchmarks.promise`: two tables, and the `l3` runs that they rest on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEAD = """\
# What the machine adds to its GPUs

Made by `python -m benchmarks.promise --page FILE` from what `python -m benchmarks.promise` ran; do not edit.
Every job runs in process. All requests come at time 0, but for the traces, played at the multiple of their
speed at which the GPUs alone are saturated. Throughput is output tokens a second of the whole job, its
ramp and its tail among them, and in brackets of its steady part ([report.md](../report.md)). Gaps lie between
two tokens of a request. TP is 8. What we see: [policies.md](../policies.md#adaptive).
"""


def page(found: Sequence[Mapping[str, Any]]) -> str:
    """The Markdown of results, in the order in which their cells first appear."""
    cells: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in found:
        cells.setdefault(one["cell"], {})[one["role"]] = one
    lines = [HEAD, "## Beside the GPUs alone", ""]
    lines += _table(
        (
            "cell",
            "GPUs alone",
            "`adaptive`",
            "ratio",
            "gap p50, ms",
            "p99",
            "bounded by the GPUs' p99",
            "ratio",
            "kept",
        ),
        (_beside(name, roles) for name, roles in cells.items() if "GPUs alone" in roles),
    )
    lines += ["", "## Beside `l3`", "", TEXT_L3, ""]
    of_l3 = {name: roles for name, roles in cells.items() if any(role.startswith("l3") for role in roles)}
    lines += _table(
        (*("cell", "best `l3`"), *MEASURED, "`adaptive`", "ratio", *MEASURED[1:]),
        (_beyond(name, roles) for name, roles in of_l3.items()),
    )
    return "\n".join(lines) + "\n"


MEASURED = ("tokens/s", "gap p50, ms", "longest, s", "preempted", "recomputed")
TEXT_L3 = """\
The best of `l3` as published and with `selection=all`, `alignment=2` or `sub_batches=1`, each at TP 8 and at
the source's own TP. Preemptions and tokens computed again are of the whole job."""


def _beside(name: str, roles: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    alone, free, bounded = (roles.get(role) for role in ("GPUs alone", "adaptive", "bounded"))
    return (
        name,
        _rate(alone),
        _rate(free),
        _ratio(free, alone),
        f"{_ms(alone, 'gap_p50_s')} : {_ms(free, 'gap_p50_s')}",
        f"{_ms(alone, 'gap_p99_s')} : {_ms(free, 'gap_p99_s')}",
        _rate(bounded),
        _ratio(bounded, alone),
        "-"
        if bounded is None or bounded.get("met") is None
        else f"{bounded['gap_p99_s'] <= bounded['bound_s']}, {bounded['met']:.1%} of requests",
    )


def _beyond(name: str, roles: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    tried = [one for role, one in roles.items() if role.startswith("l3") and not one["refused"]]
    best = max(tried, key=lambda one: one["tokens_per_s"], default=None)
    free = roles.get("adaptive")
    shown = "-" if best is None else best["role"].removeprefix("l3 ")
    return (name, shown, _rate(best), *_holdups(best), _rate(free), _ratio(free, best), *_holdups(free))


def _holdups(one: Mapping[str, Any] | None) -> tuple[str, ...]:
    if one is None or one["refused"]:
        return ("-",) * 4
    longest = one["gap_max_s"]
    return (
        _ms(one, "gap_p50_s"),
        "-" if longest is None else f"{longest:,.3g}" if longest < 1000 else f"{longest:,.0f}",
        f"{one['preemptions']:,}",
        f"{one['recomputed'] / one['output']:.1%}",
    )


def _rate(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "-"
    if one["refused"]:
        return "refused"
    steady = one["steady_tokens_per_s"]
    return f"{one['tokens_per_s']:,.0f}" + (f" ({steady:,.0f})" if steady else "")


def _ratio(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> str:
    if one is None or other is None or one["refused"] or other["refused"]:
        return "-"
    return f"{one['tokens_per_s'] / other['tokens_per_s']:.2f}"


def _ms(one: Mapping[str, Any] | None, name: str) -> str:
    if one is None or one["refused"] or one[name] is None:
        return "-"
    return f"{one[name] * 1e3:.0f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    return lines + [f"| {' | '.join(row)} |" for row in rows]

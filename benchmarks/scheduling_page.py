"""docs/generated/scheduling.md, made of the results of `benchmarks.scheduling`."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.scheduling_plots import MEMORY_PLOT, curves, load_plot, of, saturation
from benchmarks.table import table

Result = Mapping[str, Any]

TITLES = {
    "policies": "Policies on the whole machine",
    "memory": "Less memory",
    "ranksets": "Ranksets",
    "options": "What each choice of l3 is worth",
    "load": "Open loop, through saturation",
}
NOTES = {
    "memory": "Rows are `attention.memory_share`: the share of the machine's 2 TiB that KV may use.",
    "ranksets": "Each count with the capacity that comes with it, and with the whole machine's whatever the "
    "count. 8: the same modules, four on a channel.",
    "options": "Policy `l3` with one setting changed. `predictor=oracle` against the default, `learned`, is "
    "what wrong predictions cost; the rest is what the policy does.",
    "load": "Requests come at the trace's times, divided by `--speed`; rows are these factors. A ring marks "
    "the first run of a policy that the report calls `saturated`: from there on latencies grow with the "
    "length of the trace and say little.",
}
HEAD = ("", "policy", "tokens/s", "TBT p50 ms", "TBT p99 ms", "batch", "GPU busy", "attention busy")
HEAD_END = ("GPU bubble", "attention bubble")
HEAD_LOAD = (
    *("speed", "policy", "tokens/s", "TTFT p50 s", "TTFT p99 s"),
    *("TBT p50 ms", "TBT p99 ms", "batch", ""),
)

#: Of the series, what the tests run of it.
FEW = "policies --only opt-66b --only dolphin-short --requests 5"
INTRO = f"""# Scheduling, measured

Made of the results of a series of runs; do not edit. The machine is `l3-dgx-a100`. Numbers are predictions of
models that were fitted to no published result. Above each table stands the command of its first row; the
others differ in what the rows name, and `--list` prints every one. The whole page:

```console
$ .venv/bin/python -m benchmarks.scheduling --list
$ .venv/bin/python -m benchmarks.scheduling --workers 2 > results.jsonl  # CI: {FEW}
$ .venv/bin/python -m benchmarks.scheduling --page results.jsonl  # CI: --into .
```

A series that was interrupted goes on with `--skip results.jsonl >> results.jsonl`. Rows that are the same job
(the whole memory, ranksets as built, the defaults) are of one run.
"""


def page(results: Sequence[Result]) -> str:
    """The whole page; parts that were not run are left out."""
    models, workloads = (", ".join(dict.fromkeys(one["key"][at] for one in results)) for at in (1, 2))
    parts = [INTRO, f"\nIt holds {len(results)} rows, of {models} with {workloads}.\n"]
    for part, title in TITLES.items():
        cases = of(results, part)
        if not cases:
            continue
        own = [one for rows in cases.values() for one in rows]
        parts.append(f"\n## {title}\n")
        if part in NOTES:
            parts.append(f"\n{NOTES[part]}\n")
        parts.append(f"\n{seen(part, own)}\n")
        if part == "memory":
            parts.append(f"\n![Throughput by memory]({MEMORY_PLOT})\n")
        for (model, workload), rows in cases.items():
            parts.append(f"\n### {title}: {model}, {workload}\n\n`{rows[0]['command']}`\n\n")
            if part == "load":
                parts.append(f"![Latencies by speed]({load_plot(workload)})\n\n{_saturations(rows)}\n\n")
            parts.append(f"{_table(part, rows)}\n")
            parts.append(_refusals(rows))
    return "".join(parts)


def seen(part: str, results: Sequence[Result]) -> str:
    """What the numbers of a part say, in a sentence for each comparison."""
    return _against(results, 4, "defaults") if part == "options" else _against(results, 3, "fill")


def _saturations(rows: Sequence[Result]) -> str:
    """Between which speeds each policy's saturation lies."""
    xs, lines = curves(rows)
    said = []
    for policy, line in lines.items():
        first = saturation(line)
        ran = [x for x, one in zip(xs, line, strict=True) if one]
        if first is None:
            said.append(
                f"- `{policy}` is not saturated up to {max(ran):g}." if ran else f"- `{policy}`: no run."
            )
            continue
        report = (line[first] or {})["report"]
        before = f"not at {xs[first - 1]:g}" if first else "the slowest that was run"
        said.append(
            f"- `{policy}` is saturated from {xs[first]:g} on ({before}), where it serves "
            f"{report['throughput_tokens_per_s']:,.0f} tokens/s."
        )
    return "\n".join(said)


def _refusals(rows: Sequence[Result]) -> str:
    """Why runs were refused, each reason once."""
    why: dict[str, list[str]] = {}
    for one in rows:
        if "refused" in one:
            why.setdefault(one["refused"].removeprefix("l3: error: "), []).append(
                f"{one['key'][4]} with `{one['key'][3]}`"
            )
    return "".join(f"\nRefused: {', '.join(names)}: {text}\n" for text, names in why.items())


def _against(results: Sequence[Result], axis: int, base: str) -> str:
    """Throughput and median TBT of each value of an axis of the key against one of them."""
    ran = {tuple(one["key"]): one["report"] for one in results if "report" in one}
    sentences = []
    for name in dict.fromkeys(key[axis] for key in ran):
        pairs = []
        for key, report in ran.items():
            other = list(key)
            other[axis] = base
            if axis == 3 and key[4] == key[3]:
                other[4] = base  # rows of the part `policies` are named by the policy
            if key[axis] == name != base and tuple(other) in ran:
                pairs.append((report, ran[tuple(other)]))
        if not pairs:
            continue
        speed = [one["throughput_tokens_per_s"] / two["throughput_tokens_per_s"] for one, two in pairs]
        wait = [one["tbt_s"]["p50"] / two["tbt_s"]["p50"] for one, two in pairs if two["tbt_s"]["p50"]]
        sentences.append(
            f"- `{name}` against `{base}` in {len(pairs)} cases: throughput x {median(speed):.2f} at the "
            f"median ({min(speed):.2f} to {max(speed):.2f}), higher in {sum(one > 1 for one in speed)}; "
            f"median TBT x {median(wait):.2f} ({min(wait):.2f} to {max(wait):.2f})."
        )
    return "\n".join(sentences)


def _table(part: str, rows: Sequence[Result]) -> str:
    if part == "load":
        return table(HEAD_LOAD, [_load_row(one) for one in rows])
    return table((*HEAD, *HEAD_END), [_row(one) for one in rows])


def _row(result: Result) -> list[str]:
    _, _, _, policy, name = result["key"]
    if "refused" in result:
        return [name, policy, "refused", *[""] * 7]
    report = result["report"]
    return [
        name,
        policy,
        f"{report['throughput_tokens_per_s']:,.1f}",
        f"{1000 * (report['tbt_s']['p50'] or 0):,.1f}",
        f"{1000 * (report['tbt_s']['p99'] or 0):,.1f}",
        f"{report['batch']['mean_requests']:,.1f}",
        f"{report['utilization']['gpu']:.3f}",
        f"{report['utilization']['attention']:.3f}",
        f"{report['bubbles']['gpu']:.3f}",
        f"{report['bubbles']['attention']:.3f}",
    ]


def _load_row(result: Result) -> list[str]:
    _, _, _, policy, name = result["key"]
    if "refused" in result:
        return [name, policy, "refused", *[""] * 6]
    report = result["report"]
    return [
        name,
        policy,
        f"{report['throughput_tokens_per_s']:,.1f}",
        f"{report['ttft_s']['p50']:,.3f}",
        f"{report['ttft_s']['p99']:,.3f}",
        f"{1000 * (report['tbt_s']['p50'] or 0):,.1f}",
        f"{1000 * (report['tbt_s']['p99'] or 0):,.1f}",
        f"{report['batch']['mean_requests']:,.1f}",
        "saturated" if report["saturated"] else "",
    ]

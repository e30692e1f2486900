"""docs/scheduling.md, made of the results of `benchmarks.scheduling`."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

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
    "ranksets": "Each count with the capacity that comes with it (beyond 4: more modules on a channel), and "
    "with the whole machine's whatever the count.",
    "options": "Policy `l3` with one setting changed. `predictor=oracle` against the default, `learned`, is "
    "what wrong predictions cost; the rest is what the policy does.",
    "load": "Rows are `--speed`. The first row of a policy that is marked saturated is its saturation point: "
    "from there on latencies grow with the length of the trace and say little.",
}
HEAD = ("", "policy", "tokens/s", "TBT p50 ms", "TBT p99 ms", "batch", "GPU busy", "attention busy")
HEAD_END = ("GPU bubble", "attention bubble")
HEAD_LOAD = ("speed", "policy", "tokens/s", "TTFT p50 s", "TTFT p99 s", "TBT p99 ms", "")

INTRO = """# Scheduling, measured

Made by `python -m benchmarks.scheduling --page FILE` from the results of `python -m benchmarks.scheduling`;
do not edit. The machine is `l3-dgx-a100`. Above each table stands the command of its first row; the others
differ in the settings that the rows name (`python -m benchmarks.scheduling --list` prints every one). Numbers
are predictions of models that were fitted to no published result.
"""


def page(results: Sequence[Result]) -> str:
    """The whole page; parts that were not run are left out."""
    models, workloads = (", ".join(dict.fromkeys(one["key"][at] for one in results)) for at in (1, 2))
    parts = [
        INTRO,
        f"\nIt holds {len(results)} runs, of {models} with {workloads}; the others were not made.\n",
    ]
    for part, title in TITLES.items():
        own = [result for result in results if result["key"][0] == part]
        if not own:
            continue
        parts.append(f"\n## {title}\n")
        if part in NOTES:
            parts.append(f"\n{NOTES[part]}\n")
        parts.append(f"\n{seen(part, own)}\n")
        for model, workload in dict.fromkeys((one["key"][1], one["key"][2]) for one in own):
            rows = [one for one in own if (one["key"][1], one["key"][2]) == (model, workload)]
            parts.append(f"\n### {title}: {model}, {workload}\n\n`{rows[0]['command']}`\n\n")
            parts.append(f"{_table(part, rows)}\n")
    return "".join(parts)


def seen(part: str, results: Sequence[Result]) -> str:
    """What the numbers of a part say, in a sentence for each comparison."""
    if part == "options":
        return _against(results, 4, "defaults")
    lines = [_against(results, 3, "fill")]
    refused = sum("refused" in one for one in results)
    if refused:
        lines.append(
            f"\n- {refused} of {len(results)} runs are refused: a request fits no empty replica there."
        )
    return "".join(lines)


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
        f"{1000 * report['tbt_s']['p50']:,.1f}",
        f"{1000 * report['tbt_s']['p99']:,.1f}",
        f"{report['batch']['mean_requests']:,.1f}",
        f"{report['utilization']['gpu']:.3f}",
        f"{report['utilization']['attention']:.3f}",
        f"{report['bubbles']['gpu']:.3f}",
        f"{report['bubbles']['attention']:.3f}",
    ]


def _load_row(result: Result) -> list[str]:
    _, _, _, policy, name = result["key"]
    if "refused" in result:
        return [name, policy, "refused", *[""] * 4]
    report = result["report"]
    return [
        name,
        policy,
        f"{report['throughput_tokens_per_s']:,.1f}",
        f"{report['ttft_s']['p50']:,.3f}",
        f"{report['ttft_s']['p99']:,.3f}",
        f"{1000 * (report['tbt_s']['p99'] or 0):,.1f}",
        "saturated" if report["saturated"] else "",
    ]

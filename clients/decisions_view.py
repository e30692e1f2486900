"""Decision records and what choices cost, for people: `report JOB --decisions`, `report JOB --regret`.

Lines of decisions.jsonl and regret.jsonl are described in docs/report.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

#: Plans that are explained in words; all of them stand in decisions.jsonl.
SHOWN = 12

Record = Mapping[str, Any]
_WHY = {
    "start": "the job began",
    "idle": "a request came to an idle replica",
    "finished": "a request ended",
    "chunk": "a prefill chunk ended",
    "room": "a rank lacked room for another round",
    "horizon": "the plan before it had lasted its horizon",
    "gpu_memory": "GPU memory came free",
    "arrival": "a request came, and the head of the queue fits",
}
_BLOCKED = {
    "": "no request is left waiting",
    "kv": "the head of the queue finds no room for its KV",
    "gpu_memory": "the head of the queue finds no GPU memory for its prompt",
    "chunk": "no more chunks fit into this round",
    "aligned": "the head of the queue would make attention the slower side",
    "gap": "the head of the queue would make gaps between tokens longer than asked for",
    "barred": "the head of the queue has just been preempted",
    "batch": "the policy admits no more now",
}


def read_lines(data: bytes) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    return [msgspec.json.decode(line) for line in data.splitlines()]


def print_decisions(records: Sequence[Record], console: Console) -> None:
    """Say why plans were made and what they came to, and explain a few, evenly spread over the run."""
    if not records:
        console.print("no plan was made")
        return
    console.print(f"{len(records):,} plans; {SHOWN} of them, evenly spread, are explained below")
    console.print(_reasons(records))
    step = max(len(records) / SHOWN, 1.0)
    for number in range(min(SHOWN, len(records))):
        console.print()
        for line in explained(records[int(number * step)]):
            console.print(line, markup=False)


def explained(record: Record) -> list[str]:
    """One decision in words."""
    lines = [
        f"plan {record['plan']} of replica {record['replica']} at {record['at_s']:.6f} s, "
        f"because {_WHY[record['because']]}: {record['waiting']} waiting, {record['resident']} resident"
    ]
    if record["preempted"]:
        lines.append(f"  preempted {record['preempted']} for want of room")
    lines.append(f"  admits {record['admitted']}; {_BLOCKED[record['blocked']]}")
    for index in range(2):
        chunks, decoding = record["chunks"][index], record["decoding"][index]
        if chunks or decoding:
            lines.append(
                f"  sub-batch {index}: {decoding} decode over {record['context_tokens'][index]:,} tokens, "
                f"{chunks} chunks of {record['chunk_tokens'][index]:,} tokens"
            )
    if record["left_out"]:
        lines.append(f"  {record['left_out']} sit it out, for {record['horizon']} rounds at most")
    if record["considered"]:
        weighed = ", ".join(f"{key} {value:g}" for key, value in record["considered"].items())
        lines.append(f"  weighed: {weighed}")
    lines += _times(record)
    lines.append(
        f"  came to {record['rounds']} rounds and {record['tokens']:,} tokens in {record['lasted_s']:.6f} s"
    )
    return lines


def _times(record: Record) -> list[str]:
    """Predicted and real times of a layer, side by side."""
    lines = []
    for index in range(len(record["happened_ps"]) // 2):
        gpu, pim = record["happened_ps"][2 * index : 2 * index + 2]
        if not (gpu or pim):
            continue
        text = f"  while {index} attends, a layer: GPU {gpu / 1e6:,.1f} us, attention {pim / 1e6:,.1f} us"
        if record["predicted_ps"]:
            foreseen = record["predicted_ps"][2 * index : 2 * index + 2]
            text += f" (predicted {foreseen[0] / 1e6:,.1f} and {foreseen[1] / 1e6:,.1f})"
        lines.append(text)
    return lines


def _reasons(records: Sequence[Record]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in ("made because", "plans", "rounds", "tokens", "left out, median"):
        table.add_column(head, justify="left" if head == "made because" else "right", no_wrap=True)
    for because, count in Counter(record["because"] for record in records).most_common():
        own = [record for record in records if record["because"] == because]
        sums = [sum(record[key] for record in own) for key in ("rounds", "tokens")]
        left_out = median(record["left_out"] for record in own)
        table.add_row(_WHY[because], f"{count:,}", *(f"{one:,}" for one in sums), f"{left_out:g}")
    return table


def print_regret(records: Sequence[Record], console: Console) -> None:
    """Say what the plans made cost against the best alternative, and how each alternative did."""
    if not records:
        console.print("no plan was judged")
        return
    regrets = sorted(record["regret"] for record in records)
    console.print(
        f"{len(records):,} plans judged: the plan made gives up {median(regrets):.1%} of the best one's "
        f"tokens a second at the median, {sum(regrets) / len(regrets):.1%} on average, "
        f"{regrets[-1]:.1%} at most"
    )
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in ("plan", "differs", "best", "tokens/s against the plan made, median"):
        table.add_column(head, justify="left" if head == "plan" else "right", no_wrap=True)
    names = dict.fromkeys(name for record in records for name in record["tokens_per_s"])
    for name in names:
        ratios = [
            record["tokens_per_s"][name] / record["tokens_per_s"]["made"]
            for record in records
            if name in record["tokens_per_s"]
        ]
        best = sum(record["best"] == name for record in records)
        table.add_row(name, f"{len(ratios):,}", f"{best:,}", f"{median(ratios):.3f}")
    console.print(table)

"""Writes docs/generated/dimm-pim-results.md and its plots: `python -m benchmarks.dimm_pages`.

Nothing in it is timed; the same code and machine files give the same bytes.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.dimm_runs import (
    BATCHES,
    CASES,
    CHIPS,
    CONTEXTS,
    LONG,
    MACHINE,
    MODELS,
    QUERIES,
    SWITCHES,
    buses,
    chips_per_head,
    grid,
    switches,
)
from benchmarks.dimm_texts import INTRODUCTION, TEXTS
from benchmarks.svg import lines, stacks
from benchmarks.table import table
from l3sim.launch.probe.calls import PARTS, Call
from l3sim.specs.catalog import load_machine

DOCS = Path(__file__).parents[1] / "docs" / "generated"
PAGE = DOCS / "dimm-pim-results.md"
Point = tuple[str, int, int]
Answers = Mapping[Point, Mapping[str, Any]]
#: Parts that the plots show; the others are small there, and drawn as one.
SHOWN = ("score", "context", "row", "refresh", "write", "collect", "softmax", "stream")
PLAIN = "as the machine file says"


def main() -> int:
    """Run everything, and write the page and its plots."""
    fast, command = grid("fast"), grid("command")
    exchanged, groups = switches(), chips_per_head()
    sections = [
        INTRODUCTION,
        *_section("bandwidth", [bandwidth(fast)]),
        *_section("where", [where(exchanged)]),
        *_section("mechanisms", [mechanisms(case, exchanged) for case in CASES]),
        *_section("chips", [heads(groups)]),
        *_section("buses", [slower(buses())]),
        *_section("levels", [levels(fast, command)]),
    ]
    PAGE.write_text("\n\n".join(sections) + "\n")
    for name, text in plots(fast, exchanged, groups).items():
        (DOCS / f"dimm-pim-{name}.svg").write_text(text)
    return 0


def _section(name: str, blocks: Sequence[str]) -> list[str]:
    head, tail = TEXTS[name]
    return [head, *blocks, *([tail] if tail else [])]


def bandwidth(fast: Answers) -> str:
    """Share of the peak by model, batch and context."""
    rows = []
    for model in MODELS:
        for batch in BATCHES:
            cells = []
            for context in CONTEXTS:
                found = fast.get((model, batch, context))
                cells.append("" if found is None else f"{found['peak_share']:.1%}")
            if any(cells):
                rows.append([f"{model}, {batch}", *cells])
    return table(("model, requests", *(f"{context:,}" for context in CONTEXTS)), rows)


def where(exchanged: Mapping[Point, Mapping[str, Mapping[str, Any]]]) -> str:
    """Microseconds by part."""
    points = list(exchanged)
    rows = []
    for part in ("attention", *PARTS):
        values = [exchanged[point][PLAIN][f"{part}_us"] for point in points]
        if any(values):
            rows.append([f"`{part}_us`", *(f"{value:.2f}" for value in values)])
    for bus in ("inner", "outer"):
        busy = [exchanged[point][PLAIN]["bus_busy"][bus] for point in points]
        rows.append([f"{bus} bus busy", *(f"{share:.1%}" for share in busy)])
    energies = [exchanged[point][PLAIN]["energy_j"] for point in points]
    rows.append(["energy, all ranks, mJ", *(f"{1000 * energy:.1f}" for energy in energies)])
    for part in exchanged[points[0]][PLAIN]["energy_parts_j"]:
        shares = [exchanged[point][PLAIN]["energy_parts_j"][part] for point in points]
        parts = [f"{one / of:.1%}" for one, of in zip(shares, energies, strict=True)]
        rows.append([f"of it {part}", *parts])
    return table(("", *(f"{model}, {batch} x {context:,}" for model, batch, context in points)), rows)


def mechanisms(case: tuple[int, int], exchanged: Mapping[Point, Mapping[str, Mapping[str, Any]]]) -> str:
    """Time and energy of each switch, by that of the machine file."""
    rows = []
    for name in SWITCHES:
        cells = []
        for model in MODELS:
            base, answer = exchanged[model, *case][PLAIN], exchanged[model, *case][name]
            cells.append(f"{answer['attention_us'] / base['attention_us']:.3f}")
            cells.append(f"{answer['energy_j'] / base['energy_j']:.2f}")
        rows.append([name, *cells])
    head = [f"{model} {what}" for model in MODELS for what in ("time", "energy")]
    return f"{case[0]} requests of {case[1]:,} tokens:\n\n" + table(("switch", *head), rows)


def heads(groups: Mapping[tuple[int, int, bool], Call]) -> str:
    """What N_hc costs and brings, by queries a KV head."""
    rows = []
    for queries in QUERIES:
        for chips in CHIPS:
            on, off = groups[queries, chips, True], groups[queries, chips, False]
            busy, least = on.bus_busy or {}, groups[queries, 1, True].time_us
            cells = [
                f"{part / on.time_us:.1%}" for name in ("collect", "stream") if (part := _us(on, name)) >= 0
            ]
            figures = (f"{busy['outer']:.1%}", f"{least / on.time_us:.2f}", f"{off.time_us / on.time_us:.2f}")
            which = (f"{queries}", f"{chips}", f"{queries * chips / 8:g}", f"{on.time_us:.1f}")
            rows.append([*which, *cells, *figures])
    head = ("N_gqa", "N_hc", "T_comm / T_comp", "us a group", "collect", "stream", "outer bus busy")
    return table((*head, "faster than N_hc = 1", "slower without pipelining"), rows)


def slower(calls: Mapping[int, Call]) -> str:
    """Where bubbles begin, by the rate of the outer bus."""
    pim, rows = load_machine(MACHINE).attention, []
    columns = pim.row_bytes // pim.column_bytes * pim.ccd_l_tck
    # Sixteen activations: four in each window, then the last four of them.
    activations = 3 * (pim.faw_tck + pim.rrd_s_tck)
    row_tck = columns + pim.rtp_tck + pim.rp_tck + activations + pim.rcd_tck - pim.ccd_l_tck
    for cycles, call in calls.items():
        sums_tck = columns * cycles // 4  # T_comm / T_comp is 1 at CCD_S = 4
        waits_us = max(sums_tck - row_tck, 0) * (LONG // 512) * pim.tck_ps / 1e6
        spent = [f"{_us(call, part):.2f}" for part in ("score", "row", "collect", "stream")]
        rows.append([f"{cycles}", f"{cycles / 4:g}", f"{call.time_us:.2f}", *spent, f"{waits_us:.2f}"])
    head = ("CCD_S", "T_comm / T_comp", "us a group", "score us", "row us", "collect us", "stream us")
    return table((*head, "rows in it, us"), rows)


def _us(call: Call, part: str) -> float:
    return call.parts_us[part] or 0.0


def levels(fast: Answers, command: Answers) -> str:
    """The largest gaps between the levels."""
    gaps = {point: abs(fast[point]["attention_us"] / command[point]["attention_us"] - 1) for point in command}
    worst = sorted(gaps, key=lambda point: (-gaps[point], point))[:5]
    rows = [
        [
            f"{model}, {batch} x {context:,}",
            f"{command[model, batch, context]['attention_us']:.4f}",
            f"{fast[model, batch, context]['attention_us']:.4f}",
            f"{gaps[model, batch, context]:.4%}",
        ]
        for model, batch, context in worst
    ]
    same = sum(gap == 0 for gap in gaps.values())
    text = f"{len(gaps)} points at both levels; {same} of them agree to the picosecond. The largest gaps:\n\n"
    return text + table(("model, requests x tokens", "command, us", "fast, us", "gap"), rows)


def plots(
    fast: Answers,
    exchanged: Mapping[Point, Mapping[str, Mapping[str, Any]]],
    groups: Mapping[tuple[int, int, bool], Call],
) -> dict[str, str]:
    """Pictures by name."""
    shares = {
        f"{model}, {batch}": [
            found["peak_share"] if (found := fast.get((model, batch, context))) else None
            for context in CONTEXTS
        ]
        for model in MODELS
        for batch in (1, 16, 256)
    }
    parts = {
        f"{model}, {context:,}": _parts(exchanged[model, batch, context][PLAIN])
        for model, batch, context in exchanged
    }
    model, batch, context = MODELS[0], *CASES[-1]
    worth = {
        name.replace("`", ""): [
            answer[f"{part}_us"] + (answer["relayout_us"] + answer["host_us"] if part == "write" else 0.0)
            for part in SHOWN
        ]
        for name, answer in exchanged[model, batch, context].items()
        if name != "`pu: rank`"
    }
    bubbles = {
        f"GQA-{queries}" if queries > 1 else "MHA": [
            (_us(call, "collect") + _us(call, "stream")) / call.time_us
            for chips in CHIPS
            for call in [groups[queries, chips, True]]
        ]
        for queries in QUERIES
    }
    title = f"{model}, {batch} x {context:,}: where the time goes with each switch"
    return {
        "bandwidth": lines("Effective bandwidth, share of all banks' peak", CONTEXTS, shares, "tokens", 1.0),
        "time": stacks("Where a layer's time goes, 16 requests", parts, SHOWN, "share of the time"),
        "mechanisms": stacks(
            title, worth, SHOWN, "time of the slowest rank; write has relayout and host too"
        ),
        "bubbles": lines(f"Time in which banks wait for a bus, {LONG:,} tokens", CHIPS, bubbles, "N_hc", 1.0),
    }


def _parts(answer: Mapping[str, Any]) -> list[float]:
    return [answer[f"{part}_us"] / answer["attention_us"] for part in SHOWN]


if __name__ == "__main__":
    sys.exit(main())

"""Probe answers of the memory modules as text, and the commands behind them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.launch.probe.attention import busy_ranks, caller_of, layout_for, loads_of, tokens_of
from l3sim.launch.probe.calls import PARTS
from l3sim.services.dram.command.trace import HEAD, Line, folded, lines_of
from l3sim.services.dram.command.trace import text_of as line_text
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape

#: People read far fewer, and a program that reads more asks for memory as well.
MAX_TRACED = 200_000


def listing(machine: Machine, model: ModelShape, values: Mapping[str, Any]) -> list[Line]:
    """Commands of the slowest rank of a probe's answer.

    Raises:
        InvalidInput: they are more than MAX_TRACED.
    """
    from l3sim.services.dram.command.result import attend

    layout = layout_for(machine, model, values["tp"], values["dp"])
    caller = caller_of(machine.attention, model, layout)
    kernel = caller.kernel
    assert kernel is not None, "a trace is of level command"
    groups = busy_ranks(loads_of(machine, model, layout, values["batch"], values["context"]))
    loads = [tokens_of(layout, load, values["context"]) for load in np.unique(groups, axis=0)]
    tokens, appends = max(loads, key=lambda load: int(load[0].sum()))
    shares = [caller.share(one) for one in tokens.tolist()]
    outcome = attend(kernel, shares, traced=MAX_TRACED + 1, appends=appends)
    if len(outcome.trace) > MAX_TRACED:
        text = f"the slowest rank takes more than {MAX_TRACED} commands; lower --batch or --context"
        raise InvalidInput(("--trace", text))
    return lines_of(kernel, outcome.program, outcome.rows, outcome.trace)


def text_of_trace(lines: Sequence[Line], tck_ps: int, *, fold: bool) -> Iterator[str]:
    """A trace as a table; folded, only the first and the last of equal commands stand there."""
    yield HEAD
    for line in folded(lines) if fold else lines:
        yield line_text(line, tck_ps)


def text_of(values: Mapping[str, Any]) -> Iterator[str]:
    """A probe's answer for people."""
    asked = f"{values['batch']:,} requests that attend {values['context']:,} tokens each"
    yield f"one layer of {values['model']} on {values['machine']}, level {values['level']}: {asked}"
    slowest = f"{values['head_groups_slowest_rank']} of {values['head_groups']:,} head groups"
    yield f"attention   {values['attention_us']:12.3f} us   the slowest of {values['ranks']} ranks, {slowest}"
    for part in PARTS:
        spent = values[f"{part}_us"]
        if spent:
            yield f"  {part:<9} {spent:12.3f} us   {spent / values['attention_us']:6.1%}"
    effective, peak = (values[f"{name}_bandwidth_bytes_per_s"] / 1e9 for name in ("effective", "peak"))
    yield f"bandwidth   {effective:12.1f} GB/s  of {peak:,.1f} ({values['peak_share']:.1%}), KV read once"
    energy, parts = values["energy_j"], values["energy_parts_j"]
    yield f"energy      {energy * 1e3:12.3f} mJ   whole machine"
    for part, joules in (parts or {}).items():
        yield f"  {part:<9} {joules * 1e3:12.3f} mJ   {joules / energy:6.1%}"
    if values["commands"] is None:
        return
    yield "commands    " + ", ".join(f"{name} {count:,}" for name, count in values["commands"].items())
    yield f"rows        {values['row_activations']:,} activations, {values['row_hits']:,} hits"
    yield "buses       " + ", ".join(f"{bus} {share:.1%}" for bus, share in values["bus_busy"].items())

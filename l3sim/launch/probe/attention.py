"""What decode attention of equal requests costs on all modules of a machine, layer by layer.

A machine's modules are DIMMs, each of ranks, or HBM stacks, each channel of which is called a rank here
(`mapping: striped`: each stack).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.launch.probe.calls import PARTS, Call, Caller, DimmCaller
from l3sim.launch.probe.spread import spread
from l3sim.launch.probe.stack import StackCaller, channel_loads
from l3sim.placement import Layout, layout_of
from l3sim.specs.config import DimmPimConfig, HbmPimConfig
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.units import Int64s

#: Keys that level `roofline` does not read, with the values that it stands for.
_NOT_IN_ROOFLINE = {"pu": "bank", "relayout": "unit", "all_bank_faw": "exempt", "host_transfer_bytes": 0}


def probe(
    machine: Machine,
    model: ModelShape,
    batch: int,
    context: int,
    tp: int | None = None,
    dp: int | None = None,
) -> dict[str, Any]:
    """One layer of `batch` decoding requests; docs/dimm-pim.md says what each value is.

    Args:
        context: tokens that each request attends, the new one included.
        tp, dp: default by model and machine.

    Raises:
        InvalidInput: they do not fit, or a setting does not.
    """
    pim = machine.attention
    layout = layout_for(machine, model, tp, dp)
    caller = caller_of(pim, model, layout)
    groups = loads_of(machine, model, layout, batch, context)
    loads, ranks = np.unique(busy_ranks(groups), axis=0, return_counts=True)
    calls = [caller.call(*tokens_of(layout, load, context)) for load in loads]
    slowest = max(calls, key=lambda call: call.time_us)
    kv_bytes = batch * context * model.layer_kv_bytes
    bandwidth, peak = kv_bytes / slowest.time_us * 1e6, peak_bytes_per_s(pim, groups[..., 0].size)
    return {
        "machine": machine.name,
        "model": model.name,
        "level": pim.level,
        "batch": batch,
        "context": context,
        "tp": layout.tp,
        "dp": layout.dp,
        "n_hc": layout.chips_per_head,
        "n_cmr": min(layout.queries_per_read, model.queries_per_kv),
        "ranks": int(groups[..., 0].size),
        "head_groups": int(groups.sum()),
        "head_groups_slowest_rank": int(groups.sum(axis=3).max()),
        "attention_us": slowest.time_us,
        **{f"{part}_us": slowest.parts_us[part] for part in PARTS},
        "bubbles": _bubbles(slowest),
        "bus_busy": slowest.bus_busy,
        "kv_bytes": kv_bytes,
        "effective_bandwidth_bytes_per_s": bandwidth,
        "peak_bandwidth_bytes_per_s": peak,
        "peak_share": bandwidth / peak,
        **_whole_machine(calls, ranks.tolist()),
    }


def loads_of(machine: Machine, model: ModelShape, layout: Layout, batch: int, context: int) -> Int64s:
    """What `spread` gives; of HBM stacks the heads of each channel, in the same form."""
    if isinstance(machine.attention, HbmPimConfig):
        return channel_loads(machine, model, layout, batch, context)[..., None]
    return spread(machine, model, layout, batch, context)


def busy_ranks(groups: Int64s) -> Int64s:
    """Head groups by step of the ranks that have any, shape (ranks, steps), of what `spread` gives."""
    flat = groups.reshape(-1, groups.shape[3])
    return flat[flat.any(axis=1)]


def tokens_of(layout: Layout, load: Int64s, context: int) -> tuple[Int64s, list[bool]]:
    """Tokens of each head group that a rank runs, shape (head groups,), and whether the new one lies there.

    Args:
        load: its head groups of each step, shape (steps,).
    """
    own = layout.step_tokens(np.array(context))
    new = np.arange(len(own)) == np.argmax(own - layout.step_tokens(np.array(context - 1)))
    return np.repeat(own, load), np.repeat(new, load).tolist()


def _whole_machine(calls: Sequence[Call], ranks: Sequence[int]) -> dict[str, Any]:
    """What all ranks do, from the calls and how many ranks make each."""
    return {
        "energy_j": sum(call.energy_j * count for call, count in zip(calls, ranks, strict=True)),
        "energy_parts_j": _summed([call.energy_parts_j for call in calls], ranks),
        "commands": _summed([call.commands for call in calls], ranks),
        "row_activations": _times([call.row_activations for call in calls], ranks),
        "row_hits": _times([call.row_hits for call in calls], ranks),
    }


def layout_for(machine: Machine, model: ModelShape, tp: int | None, dp: int | None) -> Layout:
    """How a job would lie on the machine: all its GPUs a replica if TP is not given, and all replicas.

    Raises:
        InvalidInput: more GPUs than there are, or an uneven share.
    """
    gpus = machine.gpu.gpus
    tp = tp or (gpus // dp if dp else model.default_tp or gpus)
    dp = dp or max(gpus // max(tp, 1), 1)
    if tp < 1 or tp * dp > gpus:
        raise InvalidInput(("--tp", f"{tp} x {dp} GPUs are more than the {gpus} of {machine.name}"))
    if model.heads % tp:
        raise InvalidInput(("--tp", f"{tp} does not divide the {model.heads} heads of {model.name}"))
    return layout_of(machine.attention, model, tp, dp)


def caller_of(on: DimmPimConfig | HbmPimConfig, model: ModelShape, layout: Layout) -> Caller:
    """The level's model, with what is refused named as on the command line."""
    try:
        if isinstance(on, HbmPimConfig):
            return StackCaller(on, model, layout)
        _check_roofline(on)
        return DimmCaller(on, model, layout)
    except InvalidInput as error:
        raise InvalidInput(*((f"attention.{key}", text) for key, text in error.violations)) from None


def _check_roofline(pim: DimmPimConfig) -> None:
    for key, value in _NOT_IN_ROOFLINE.items():
        given = getattr(pim, key)
        if pim.level == "roofline" and given != value:
            text = f"level roofline knows only {key}={value}, got {given}; use --level fast"
            raise InvalidInput((key, text))


def peak_bytes_per_s(on: DimmPimConfig | HbmPimConfig, ranks: int) -> float:
    """What the units could read of K and V: all banks of all chips, or the buses of all ranks."""
    if isinstance(on, HbmPimConfig):
        return ranks * on.module_bytes_per_s / on.heads_at_once
    if on.pu == "rank":
        return ranks * on.rank_bytes_per_s
    return ranks * on.chips_per_rank * on.banks_per_chip * on.bank_bytes_per_s


def with_attention(machine: Machine, settings: Mapping[str, Any]) -> Machine:
    """A copy of a machine with keys of its modules set.

    Raises:
        InvalidInput: an unknown key, or a value that is refused.
    """
    return machine.with_settings([(f"attention.{key}", value) for key, value in settings.items()], "probe")


def _bubbles(call: Call) -> dict[str, float | None]:
    """Share of the time in which the banks do not multiply, by cause."""
    shares: dict[str, float | None] = {}
    for part in PARTS:
        if part not in {"score", "context"}:
            spent = call.parts_us[part]
            shares[part] = None if spent is None else spent / call.time_us
    return shares


def _summed(values: Sequence[Mapping[str, Any] | None], counts: Sequence[int]) -> dict[str, Any] | None:
    total: dict[str, Any] = {}
    for value, count in zip(values, counts, strict=True):
        if value is None:
            return None
        for key, one in value.items():
            total[key] = total.get(key, 0) + one * count
    return total


def _times(values: Sequence[int | None], counts: Sequence[int]) -> int | None:
    total = 0
    for value, count in zip(values, counts, strict=True):
        if value is None:
            return None
        total += value * count
    return total

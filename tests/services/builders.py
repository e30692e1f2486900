"""Small sessions and windows for the tests of the devices."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np

from l3sim import PROTOCOL_VERSION
from l3sim.device import Identity
from l3sim.placement import layout_of, rank_assignments
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.work import (
    Chunk,
    Commit,
    Costs,
    Hello,
    KvPlacement,
    OpCost,
    RankAssignment,
    SlotAssignment,
    SubBatch,
    Window,
)

#: (request, rankset offset, first rank, context)
Resident = tuple[int, int, int, int]


@cache
def machine(name: str = "l3-dgx-a100", **settings: Any) -> Machine:
    """A machine with `attention__n_hc=4` and the like set on top."""
    loaded = load_machine(name)
    modules = settings.pop("attention__modules", None)
    if modules is not None:
        loaded = load_machine(name, modules)
    return loaded.with_settings((key.replace("__", "."), value) for key, value in settings.items())


@cache
def _model(name: str) -> ModelShape:
    return load_model(name)


def hello(
    section: str,
    on: Machine,
    model: str | ModelShape,
    tp: int,
    dp: int = 1,
    modules: Sequence[int] = (),
) -> Hello:
    """Open a job for one device of a section, or for some modules ("dimm-07" is played by "d7")."""
    shape = _model(model) if isinstance(model, str) else model
    layout = layout_of(on.attention, shape, tp, dp)
    if section == "attention":
        slots = tuple(
            SlotAssignment(
                f"d{m}",
                f"dimm-{m:02d}",
                on.section("attention"),
                tuple(
                    RankAssignment(*assignment) for assignment in rank_assignments(on.attention, layout, m)
                ),
            )
            for m in modules
        )
    else:
        slots = (SlotAssignment(section, section, on.section(section)),)
    return Hello(PROTOCOL_VERSION, "job", 0, shape, layout, slots)


def identities(
    modules: Sequence[int], overrides: Mapping[int, Mapping[str, Any]] | None = None
) -> list[Identity]:
    """Who plays the modules."""
    return [Identity(f"d{m}", overrides=(overrides or {}).get(m, {})) for m in modules]


def window(
    *batches: SubBatch,
    residents: Sequence[Resident] = (),
    rounds: int = 1,
    window_id: int = 1,
    replica: int = 0,
    commits: Sequence[Commit] = (),
) -> Window:
    """A window that places its residents."""
    places = tuple(KvPlacement(request, offset, rank) for request, offset, rank, _ in residents)
    return Window(window_id, replica, rounds, batches, places, (), tuple(commits))


def decoding(residents: Sequence[Resident], index: int = 0, chunks: Sequence[Chunk] = ()) -> SubBatch:
    """A sub-batch in which residents decode."""
    requests = np.array([resident[0] for resident in residents], dtype=np.int64)
    context = np.array([resident[3] for resident in residents], dtype=np.int64)
    return SubBatch(index, requests, context, tuple(chunks))


def op_cost(costs: Costs, op: str, sub_batch: int = 0) -> OpCost:
    """The cost of one operation."""
    (found,) = [cost for cost in costs.costs if cost.op == op and cost.sub_batch == sub_batch]
    return found


def lanes(costs: Costs, slots: Sequence[str]) -> dict[tuple[str, str, int, int], Any]:
    """Durations by (op, slot, domain, sub-batch), as nested lists over (layer class, round)."""
    return {
        (cost.op, slots[device], domain, cost.sub_batch): duration.tolist()
        for cost in costs.costs
        for device, domain, duration in zip(cost.device, cost.domain, cost.duration_ps, strict=True)
    }


def reshaped(model: str, **changes: Any) -> ModelShape:
    """A published model with some sizes changed."""
    return msgspec.structs.replace(_model(model), **changes)

"""What decode attention costs on a machine's devices of any kind: asked of the devices themselves.

    probe ── Hello ──► all attention devices of the machine, in this process
          ── Estimate ► a window a replica: one round of equal requests, each placed as the engine would

Our memory modules have probes of their own, which look further inside.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from l3sim import PROTOCOL_VERSION
from l3sim.errors import InvalidInput
from l3sim.launch.plan import processes_of, refuse_absent
from l3sim.launch.probe.attention import layout_for
from l3sim.launch.probe.spread import places_of, spread
from l3sim.placement import Layout, kv_room_bytes, rank_assignments
from l3sim.specs.foreign import config_of
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.transport.conversation import Conversation
from l3sim.transport.description import described
from l3sim.work import Costs, Hello, KvPlacement, RankAssignment, Role, SlotAssignment, SubBatch, Window

#: As many modules as a machine can have.
_ALL = 4096


def probe(
    machine: Machine,
    model: ModelShape,
    batch: int,
    context: int,
    tp: int | None = None,
    dp: int | None = None,
) -> dict[str, Any]:
    """One layer of `batch` decoding requests on all attention devices.

    Args:
        context: tokens that each request attends, the new one included.
        tp, dp: default by model and machine.

    Raises:
        InvalidInput: the GPUs attend, no package here offers the kind, or a device refuses its configuration.
    """
    refuse_absent(machine)
    layout = layout_for(machine, model, tp, dp)
    if layout.on_gpu:
        raise InvalidInput(("--machine", f"on {machine.name} the GPUs attend; see probe gpu --context"))
    groups = spread(machine, model, layout, batch, context)
    places = places_of(layout, model, kv_room_bytes(machine.attention, layout, model), batch, context)
    session, level = _opened(machine, model, layout)
    costs = session.estimate(
        [_window(replica, places, batch, context, layout.dp) for replica in range(min(layout.dp, batch))]
    )
    slowest_us, energy_j = _sums(costs)
    kv_bytes = batch * context * model.layer_kv_bytes
    peak = machine.attention.kv_bytes_per_s
    bandwidth = kv_bytes / slowest_us * 1e6
    return {
        "machine": machine.name,
        "model": model.name,
        "kind": machine.attention.kind,
        "level": level,
        "batch": batch,
        "context": context,
        "tp": layout.tp,
        "dp": layout.dp,
        "ranks": int(groups[..., 0].size),
        "head_groups": int(groups.sum()),
        "head_groups_slowest_rank": int(groups.sum(axis=3).max()),
        "attention_us": slowest_us,
        "energy_j": energy_j,
        "kv_bytes": kv_bytes,
        "effective_bandwidth_bytes_per_s": bandwidth,
        "peak_bandwidth_bytes_per_s": peak,
        "peak_share": None if peak is None else bandwidth / peak,
    }


def _opened(machine: Machine, model: ModelShape, layout: Layout) -> tuple[Conversation, str]:
    """A session with all attention devices, and the level that they run at."""
    (process,) = processes_of(machine, Role.ATTENTION, _ALL)
    device = process.device()
    slots = [
        SlotAssignment(
            one.device_id,
            slot,
            config_of(machine.attention, one.config_schema_json, machine.name),
            tuple(RankAssignment(*rank) for rank in rank_assignments(machine.attention, layout, number)),
        )
        for number, (slot, one) in enumerate(zip(process.slots, described(device), strict=True))
    ]
    session = Conversation(device)
    ready = session.hello(Hello(PROTOCOL_VERSION, "probe", 0, model, layout, tuple(slots)))
    return session, ready[0].level


def _window(replica: int, places: Sequence[tuple[int, int]], batch: int, context: int, dp: int) -> Window:
    """One round of a replica's share of the requests."""
    requests = np.arange(len(range(replica, batch, dp)), dtype=np.int64)
    held = np.full(len(requests), context - 1, dtype=np.int64)
    placed = [KvPlacement(number, *places[number]) for number in requests.tolist()]
    return Window(replica, replica, 1, (SubBatch(0, requests, held),), tuple(placed))


def _sums(costs: Sequence[Costs]) -> tuple[float, float]:
    """Microseconds of the slowest rank, and joules of all."""
    found = [cost for one in costs for cost in one.costs]
    slowest_ps = max(int(cost.duration_ps.max()) for cost in found)
    return slowest_ps / 1e6, sum(int(cost.energy_nj[0, 0]) for cost in found) / 1e9

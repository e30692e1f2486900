"""What memory a job has on a machine: of the GPUs beside the weights, and of the devices that keep KV.

GPU       [ reserve | weights | prefill KV on its way                  ]   KV in modules of their own
          [ reserve | weights | prefill_share | KV, over the stacks    ]   hbm-pim inside the GPUs
          [ reserve | weights | prefill KV | gpu_kv_share: KV          ]   GPUs that attend beside modules
          [ reserve | weights | KV, in its place from the start        ]   placement gpu
"""

from dataclasses import replace

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.staging import GpuMemory
from l3sim.placement import DecodePlacement, Layout
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.specs.requests import Requests


def usable_bytes(machine: Machine, tp: int) -> int:
    """GPU memory of a replica beside the reserve."""
    return int(machine.gpu.memory_bytes * (1 - machine.gpu.memory_reserve_share)) * tp


def weight_room(machine: Machine, model: ModelShape, layout: Layout) -> int:
    """GPU memory of a replica beside reserve and weights; refuses a model that does not fit."""
    usable = usable_bytes(machine, layout.tp)
    if model.weight_bytes > usable:
        text = (
            f"{model.name} needs {model.weight_bytes / 1e9:.1f} GB of weights, {layout.tp} GPU(s) of "
            f"{machine.name} hold {usable / 1e9:.1f} GB; use more GPUs a replica (--tp) or a smaller model"
        )
        raise InvalidInput(("model", text))
    return usable - model.weight_bytes


def prefill_room(machine: Machine, left: int) -> int:
    """GPU memory for prefill KV on its way, of what weights leave."""
    room: int = machine.attention.prefill_bytes(left)
    return room


def gpu_kv_room(machine: Machine, layout: Layout, left: int) -> int:
    """GPU memory of a replica for KV of requests that attend on the GPUs beside modules; 0: there are none.

    Whole blocks for a decode of at least one request are not promised: what does not fit goes to modules.
    """
    share = machine.scheduler.gpu_kv_share
    return int(left * share) if layout.gpu_place is not None else 0


def kv_shape(machine: Machine, model: ModelShape, layout: Layout) -> KvShape:
    """The KV tables of a replica whose ranks are all as the machine file says; GPUs beside them left out."""
    if layout.gpu_place is not None:
        layout = replace(layout, decode=DecodePlacement.ATTENTION)
    left = weight_room(machine, model, layout) if layout.decode is DecodePlacement.GPU else 0
    room = machine.attention.kv_room_bytes(layout, model, left)
    return KvShape.of(layout, model, np.full(layout.ranksets * layout.ranks, room, dtype=np.int64))


def check_sizes(table: Requests, machine: Machine, model: ModelShape, layout: Layout, room: int) -> None:
    """Refuse the first request that no empty replica could ever hold."""
    longest = int(kv_shape(machine, model, layout).fit_tokens.max())
    needed = table.prompt + table.output - 1
    large = np.flatnonzero(needed > longest)
    if len(large):
        index = int(large[0])
        text = f"needs {needed[index]} tokens of KV, an empty replica of {machine.name} holds {longest}"
        raise InvalidInput((f"workload.requests[{index}]", f"line {table.line[index]}: {text}"))
    memory = GpuMemory(room, model.kv_bytes_per_token, model.layer_kv_bytes)
    for index in np.flatnonzero(needed * model.layer_kv_bytes > room).tolist():
        booking, _ = memory.booking(int(needed[index]))
        text = f"needs {booking} bytes of GPU memory for one layer's prefill KV, {room} are left of it"
        raise InvalidInput((f"workload.requests[{index}]", f"line {table.line[index]}: {text}"))

"""From what a user asked for to what will run: everything checked, every default filled in."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from l3sim import VERSION
from l3sim.errors import InvalidInput
from l3sim.placement import Layout, kv_room_bytes, layout_of
from l3sim.specs.catalog import load_model, parse_value
from l3sim.specs.config import GpuAttentionConfig, HbmPimConfig
from l3sim.specs.job import JobSpec
from l3sim.specs.machine import Machine, digest_of
from l3sim.specs.model import ModelShape
from l3sim.specs.pcie import check_uplinks
from l3sim.specs.workload import Requests, requests_of
from orchestrator.gpu_memory import GpuMemory
from orchestrator.kv import KvShape
from orchestrator.policies import POLICIES

MAX_SPANS_ROUNDS = 10_000
#: Where prefill makes KV in its place, none is ever on its way: more than anybody books.
IN_PLACE = 2**62


@dataclass(frozen=True)
class ResolvedJob:
    """A job that is checked against its machine and ready to run.

    Attributes:
        machine: with the job's settings on top.
        weight_room_bytes: GPU memory of a replica that weights and reserve leave.
        warnings: for people; they stand in the report.
    """

    spec: JobSpec
    machine: Machine
    model: ModelShape
    layout: Layout
    table: Requests
    weight_room_bytes: int
    digest: str
    warnings: tuple[str, ...]

    @property
    def policy(self) -> str:
        """Name of the policy."""
        return self.spec.policy

    @property
    def workload_name(self) -> str:
        """As reports show it."""
        return self.spec.workload.name

    @property
    def requests(self) -> int:
        """How many."""
        return len(self.table)

    @property
    def output_tokens(self) -> int:
        """Of all requests."""
        return int(self.table.output.sum())

    def config(self) -> dict[str, Any]:
        """Everything resolved: enough to run again."""
        spec, workload = self.spec, self.spec.workload
        return {
            "version": VERSION,
            "job": self.digest,
            "machine": self.machine.resolved(),
            "model": msgspec.to_builtins(self.model),
            "policy": spec.policy,
            "seed": spec.seed,
            "tp": self.layout.tp,
            "dp": self.layout.dp,
            "max_window": spec.max_window,
            "spans_rounds": spec.spans_rounds,
            "settings": [f"{key}={value}" for key, value in spec.settings],
            "workload": {
                "name": workload.name,
                "requests": self.requests,
                "listed": workload.listed is not None,
                "rate_per_s": workload.rate,
                "concurrency": workload.concurrency,
                "speed": workload.speed,
                "digest": _digest_requests(self.table),
            },
        }


def resolve(spec: JobSpec, machine: Machine) -> ResolvedJob:
    """Check a job against a machine.

    Raises:
        InvalidInput: anything that is unknown, out of range, or can never run on this machine.
    """
    if spec.machine and spec.machine != machine.name:
        raise InvalidInput(("machine", f"this machine is {machine.name!r}, not {spec.machine!r}"))
    settings = tuple((key, parse_value(key, value)) for key, value in spec.settings)
    machine = machine.with_settings(settings)
    model = load_model(spec.model or machine.default_model) if isinstance(spec.model, str) else spec.model
    policy = POLICIES.get(spec.policy)
    for key, _ in spec.settings:
        section, _, name = key.partition(".")
        if section == "scheduler" and name not in policy.reads:
            reads = ", ".join(sorted(policy.reads))
            raise InvalidInput((key, f"policy {spec.policy!r} does not read it (it reads: {reads})"))
    if not 1 <= spec.max_window <= 10**9:
        raise InvalidInput(("max_window", f"must be 1 to 1,000,000,000, got {spec.max_window}"))
    if not 0 <= spec.spans_rounds <= MAX_SPANS_ROUNDS:
        raise InvalidInput(("spans_rounds", f"must be 0 to {MAX_SPANS_ROUNDS}, got {spec.spans_rounds}"))
    table = requests_of(spec.workload, spec.seed)
    layout = layout_of(machine.attention, model, *_parallel(spec, machine, model))
    check_uplinks(machine.link, layout.tp)
    clients = spec.workload.concurrency
    if clients is not None and clients < layout.dp:
        text = f"{clients} clients are fewer than the {layout.dp} replicas; each needs one at least"
        raise InvalidInput(("workload.concurrency", text))
    if machine.placement not in policy.placements:
        able = ", ".join(name for name in POLICIES if machine.placement in POLICIES.get(name).placements)
        text = f"{spec.policy!r} is not for GPUs that attend themselves; use one of: {able}"
        raise InvalidInput(("policy", text))
    room = _prefill_room(machine, _weight_room(machine, model, layout))
    _check_sizes(table, machine, model, layout, room)
    return ResolvedJob(
        spec,
        machine,
        model,
        layout,
        table,
        room,
        _digest(spec, machine, model, layout, table),
        tuple(_warnings(spec, model, machine, table)),
    )


def _parallel(spec: JobSpec, machine: Machine, model: ModelShape) -> tuple[int, int]:
    """TP and DP: as asked, or the model's TP and as many replicas as the GPUs make."""
    gpus = machine.gpu.gpus
    if spec.dp and not 1 <= spec.dp <= gpus:
        raise InvalidInput(("dp", f"must be 1 to {gpus} (the machine's GPUs), got {spec.dp}"))
    tp = spec.tp or (gpus // spec.dp if spec.dp else _default_tp(machine, model))
    if not 1 <= tp <= gpus:
        raise InvalidInput(("tp", f"must be 1 to {gpus} (the machine's GPUs), got {tp}"))
    if model.heads % tp:
        raise InvalidInput(("tp", f"{tp} does not divide the {model.heads} heads of {model.name}"))
    dp = spec.dp or gpus // tp
    if tp * dp > gpus:
        raise InvalidInput(("dp", f"{tp} x {dp} GPUs are more than the machine's {gpus}"))
    return tp, dp


def _default_tp(machine: Machine, model: ModelShape) -> int:
    """The model's own TP; else the least that divides heads and GPUs and holds the weights, or the most."""
    gpus = machine.gpu.gpus
    if model.default_tp:
        return min(model.default_tp, gpus)
    degrees = [tp for tp in range(1, gpus + 1) if gpus % tp == 0 and model.heads % tp == 0]
    enough = [tp for tp in degrees if model.weight_bytes <= _usable_bytes(machine, tp)]
    return enough[0] if enough else degrees[-1]


def _usable_bytes(machine: Machine, tp: int) -> int:
    """GPU memory of a replica beside the reserve."""
    return int(machine.gpu.memory_bytes * (1 - machine.gpu.memory_reserve_share)) * tp


def _weight_room(machine: Machine, model: ModelShape, layout: Layout) -> int:
    """GPU memory of a replica beside reserve and weights; refuses a model that does not fit."""
    usable = _usable_bytes(machine, layout.tp)
    if model.weight_bytes > usable:
        text = (
            f"{model.name} needs {model.weight_bytes / 1e9:.1f} GB of weights, {layout.tp} GPU(s) of "
            f"{machine.name} hold {usable / 1e9:.1f} GB; use more GPUs a replica (--tp) or a smaller model"
        )
        raise InvalidInput(("model", text))
    return usable - model.weight_bytes


def _prefill_room(machine: Machine, left: int) -> int:
    """GPU memory for prefill KV on its way, of what weights leave."""
    attention = machine.attention
    if isinstance(attention, HbmPimConfig) and attention.inside_gpu:
        return int(left * attention.prefill_share)  # the rest is for KV that is attended
    return IN_PLACE if machine.placement == "gpu" else left


def kv_shape(machine: Machine, model: ModelShape, layout: Layout) -> KvShape:
    """The KV tables of a replica whose ranks are all as the machine file says."""
    attention = machine.attention
    if isinstance(attention, GpuAttentionConfig):
        room = int(_weight_room(machine, model, layout) * attention.memory_share)
    else:
        room = kv_room_bytes(attention, layout, model)
    return KvShape.of(layout, model, np.full(layout.ranksets * layout.ranks, room, dtype=np.int64))


def _check_sizes(table: Requests, machine: Machine, model: ModelShape, layout: Layout, room: int) -> None:
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


def _warnings(spec: JobSpec, model: ModelShape, machine: Machine, table: Requests) -> list[str]:
    found = _shape_warnings(model, table)
    workload = spec.workload
    timed = workload.listed is not None and workload.rate is None and workload.concurrency is None
    if workload.speed != 1 and not timed:
        found.append("--speed has no effect: only the times of a trace are divided by it")
    if machine.link.channel_bus == "full":
        found.append("link.channel_bus=full is an idealisation: a DDR bus is half duplex")
    return found


def _shape_warnings(model: ModelShape, table: Requests) -> list[str]:
    """Requests that are longer than what the model was made for."""
    found = []
    tokens = table.prompt + table.output
    learned, made_for = model.learned_positions, model.max_positions
    limit = made_for or learned
    if over := int((tokens > limit).sum()) if limit else 0:
        what = (
            f"{limit} positions that {model.name} learned"
            if learned
            else f"{limit} positions that {model.name} was made for"
        )
        found.append(f"{over} requests go past the {what}; they are simulated all the same")
    window = model.sliding_window
    if over := int((tokens > window).sum()) if window else 0:
        found.append(
            f"{over} requests go past the sliding window of {window} tokens of {model.name}, which is not "
            "modelled: every layer keeps and attends all tokens"
        )
    return found


def _digest_requests(table: Requests) -> str:
    return digest_of([table.prompt.tolist(), table.output.tolist(), table.arrival_ps.tolist()])


def _digest(spec: JobSpec, machine: Machine, model: ModelShape, layout: Layout, table: Requests) -> str:
    """Of everything that the result depends on; `max_window` and spans change none."""
    return digest_of(
        [
            VERSION,
            machine.name,
            machine.digest,
            msgspec.to_builtins(model),
            spec.policy,
            spec.seed,
            [layout.tp, layout.dp],
            [spec.workload.name, spec.workload.concurrency, spec.workload.rate, spec.workload.speed],
            _digest_requests(table),
        ]
    )

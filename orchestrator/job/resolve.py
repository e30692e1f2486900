"""From what a user asked for to what will run: everything checked, every default filled in."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from l3sim import VERSION
from l3sim.errors import InvalidInput
from l3sim.orchestrator.engine.host_stages import HostStages
from l3sim.orchestrator.engine.policies import ORIGINS, POLICIES, Policy, policy_named
from l3sim.orchestrator.job.memory_budget import (
    check_sizes,
    gpu_kv_room,
    prefill_room,
    weight_room,
)
from l3sim.orchestrator.job.parallel import parallel
from l3sim.orchestrator.job.slo import check_slo
from l3sim.origin import code_of
from l3sim.placement import DecodePlacement, Layout, layout_of
from l3sim.specs.catalog import load_model, parse_value
from l3sim.specs.job import DEFAULT_POLICY, JobSpec, check_job
from l3sim.specs.machine import Machine, digest_of
from l3sim.specs.model import ModelShape
from l3sim.specs.option import deciding_options, shown_options
from l3sim.specs.requests import Requests
from l3sim.specs.workload import requests_of
from l3sim.work import BLOCK

#: Keys of `scheduler` that the KV ledger reads, whatever the policy.
KV_KEYS = frozenset({"kv_reserve_tokens", "prefix_sharing"})
#: How KV of a layer lies over ranks, where neither job nor machine says it.
PARTITION = "attention.partition"
#: Keys of `scheduler` that are read whatever the policy: by the queue and by the KV ledger.
ENGINE_KEYS = KV_KEYS | {"aging_s"}


@dataclass(frozen=True)
class ResolvedJob:
    """A job that is checked against its machine and ready to run.

    Attributes:
        spec: as asked for, with the policy that `auto` came to.
        machine: with the job's settings on top.
        weight_room_bytes: GPU memory of a replica for prefill KV on its way.
        gpu_kv_bytes: for KV of requests that attend on the GPUs beside modules.
        digest: of the job as submitted: all that its result depends on, but for the devices that answer;
            `l3sim.orchestrator.report.digests` adds those.
        warnings: for people; they stand in the report.
    """

    spec: JobSpec
    machine: Machine
    model: ModelShape
    layout: Layout
    table: Requests
    weight_room_bytes: int
    gpu_kv_bytes: int
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
        options = shown_options(workload)
        del options["count"]  # a listed workload has none; `requests` is how many there are
        return {
            "version": VERSION,
            "submitted_digest": self.digest,
            "machine": self.machine.resolved(),
            "model": msgspec.to_builtins(self.model),
            # Options as asked for; what the job came to stands in their place below.
            **shown_options(spec),
            "tp": self.layout.tp,
            "dp": self.layout.dp,
            "settings": [f"{key}={value}" for key, value in spec.settings],
            "workload": {
                "name": workload.name,
                "requests": self.requests,
                "listed": workload.listed is not None,
                "rate_per_s": options.pop("rate"),
                **options,
                "digest": _digest_requests(self.table),
            },
        }


def resolve(spec: JobSpec, machine: Machine) -> ResolvedJob:
    """Check a job against a machine.

    Raises:
        InvalidInput: anything that is unknown, out of range, or can never run on this machine.
    """
    check_job(spec)
    if spec.machine and spec.machine != machine.name:
        raise InvalidInput(("machine", f"this machine is {machine.name!r}, not {spec.machine!r}"))
    settings = tuple((key, parse_value(key, value)) for key, value in spec.settings)
    machine = machine.with_settings(settings)
    model = load_model(spec.model or machine.default_model) if isinstance(spec.model, str) else spec.model
    spec = replace(spec, policy=policy_for(spec.policy, machine))
    policy = policy_named(spec.policy)
    _check_placement(spec, policy, machine)
    _check_scheduler(spec, policy, machine)
    check_slo(spec.slo, HostStages.of(machine.host))
    table = requests_of(spec.workload, spec.seed)
    tp, dp = parallel(spec, machine, model, table)
    layout = layout_of(machine.attention, model, tp, dp)
    if policy.stripes and machine.attention.may_stripe and layout.groups < layout.ranks:
        machine = machine.with_settings(((PARTITION, BLOCK),))
        layout = layout_of(machine.attention, model, tp, dp)
    if policy.homes and machine.attention.beside_gpus and machine.scheduler.gpu_kv_share:
        layout = replace(layout, decode=DecodePlacement.BOTH)
    machine.link.check_replica(layout.tp)
    clients = spec.workload.concurrency
    if clients is not None and clients < layout.dp:
        text = f"{clients} clients are fewer than the {layout.dp} replicas; each needs one at least"
        raise InvalidInput(("workload.concurrency", text))
    left = weight_room(machine, model, layout)
    kept = gpu_kv_room(machine, layout, left)
    room = prefill_room(machine, left) - kept
    check_sizes(table, machine, model, layout, room)
    return ResolvedJob(
        spec,
        machine,
        model,
        layout,
        table,
        room,
        kept,
        _digest(spec, machine, model, layout, table),
        tuple(_warnings(spec, model, machine, table)),
    )


def policy_for(policy: str, machine: Machine) -> str:
    """The policy of a job on a machine: what was asked for; by default what suits the devices that attend."""
    if policy != DEFAULT_POLICY:
        return policy
    return "chunked" if machine.placement is DecodePlacement.GPU else "adaptive"


def _check_placement(spec: JobSpec, policy: type[Policy], machine: Machine) -> None:
    """Refuse a policy that is not for the devices that attend."""
    if machine.placement not in policy.placements:
        able = ", ".join(name for name in POLICIES if machine.placement in POLICIES.get(name).placements)
        text = f"{spec.policy!r} is not for GPUs that attend themselves; use one of: {able}"
        raise InvalidInput(("policy", text))


def _check_scheduler(spec: JobSpec, policy: type[Policy], machine: Machine) -> None:
    """Refuse keys of the scheduler that a job sets and nothing reads, or that contradict each other."""
    given = {key.partition(".")[2] for key, _ in spec.settings if key.startswith("scheduler.")}
    reads = policy.reads | ENGINE_KEYS
    for name in sorted(given - reads):
        others = ", ".join(other for other in POLICIES if name in POLICIES.get(other).reads)
        text = f"policy {spec.policy!r} does not read it (it reads: {', '.join(sorted(reads))})"
        raise InvalidInput((f"scheduler.{name}", f"{text}; use --policy {others}" if others else text))
    for (key, value), without in policy.excludes:
        clash = sorted(given & set(without))
        if clash and getattr(machine.scheduler, key) == value:
            raise InvalidInput(
                (f"scheduler.{clash[0]}", f"contradicts scheduler.{key}={value}; set one of them")
            )
    if spec.oracle_lengths and (reserve := machine.scheduler.kv_reserve_tokens):
        text = f"{reserve} tokens contradict --oracle-lengths, which books what each request will hold; use 0"
        raise InvalidInput(("scheduler.kv_reserve_tokens", text))


def _warnings(spec: JobSpec, model: ModelShape, machine: Machine, table: Requests) -> list[str]:
    found = _shape_warnings(model, table)
    pim = machine.attention
    for key, _ in spec.settings:
        section, _, name = key.partition(".")
        if section == "attention" and not pim.reads(name):
            what = "partition head has no stripes" if name == "stripe_tokens" else None
            found.append(f"{key} changes nothing: {what or f'level {pim.level} does not read it'}")
        if section == "link" and machine.placement == "gpu":
            found.append(f"{key} changes nothing: the GPUs attend, and nothing crosses a link")
    workload = spec.workload
    timed = workload.listed is not None and workload.rate is None and workload.concurrency is None
    if workload.speed != 1 and not timed:
        found.append("--speed has no effect: only the times of a trace are divided by it")
    urgent = table.priority is not None and bool((table.priority > 0).any())
    if not urgent and any(key == "scheduler.aging_s" for key, _ in spec.settings):
        found.append("scheduler.aging_s has no effect: every request has priority 0")
    if machine.link.channel_bus == "full":
        found.append("link.channel_bus=full is an idealisation: a DDR bus is half duplex")
    here, there = (getattr(section, "relayout", None) for section in (pim, machine.link))
    if here is not None and there is not None and pim.reads("relayout") and here != there:
        found.append(
            f"attention.relayout is {here}, but link.relayout is {there}: "
            "the processor's copies take time on one side only; set both"
        )
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
    columns = (table.prompt, table.output, table.arrival_ps, table.priority, table.limit)
    lists = [None if column is None else column.tolist() for column in columns]
    if table.prefixes is not None:
        lists += [table.prefixes.number.tolist(), table.prefixes.tokens.tolist()]
    return digest_of(lists)


def _digest(spec: JobSpec, machine: Machine, model: ModelShape, layout: Layout, table: Requests) -> str:
    """Of everything here that the result depends on: what options say, and what they came to."""
    workload = spec.workload
    came_to = {
        "model": msgspec.to_builtins(model),
        # A stranger's goes by its name in any package, and by any code under that name.
        "policy": [spec.policy, ORIGINS.get(spec.policy, ""), code_of(POLICIES.get(spec.policy))],
        "tp": layout.tp,
        "dp": layout.dp,
    }
    drawn = {"count": len(table), "requests": _digest_requests(table)}
    return digest_of(
        [
            VERSION,
            machine.name,
            machine.digest,
            asdict(layout),
            {**deciding_options(spec), **came_to},
            {**deciding_options(workload), **drawn, "name": workload.name},
        ]
    )

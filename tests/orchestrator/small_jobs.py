"""Small machines and jobs, drawn at random, and how to run one in this process."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
from hypothesis import strategies as st

from l3sim.device import Identity
from l3sim.orchestrator.engine import replica
from l3sim.orchestrator.engine.progress import Progress, Span
from l3sim.orchestrator.job.resolve import ResolvedJob, resolve
from l3sim.orchestrator.run.job import JobResult, run_job
from l3sim.placement import Layout, layout_of
from l3sim.ports import DeviceSource
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.gpu.device import GpuDevice
from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.specs.catalog import load_machine
from l3sim.specs.job import JobSpec
from l3sim.specs.machine import Machine, machine_from
from l3sim.specs.model import ModelShape
from l3sim.specs.requests import Prefixes, Requests
from l3sim.specs.workload import WorkloadSpec
from l3sim.testing.builders import small_model
from l3sim.transport.in_process import InProcessSource


class Watcher:
    """Keeps what the engine told."""

    def __init__(self) -> None:
        self.told: list[Progress] = []
        self.seen: list[tuple[str, Sequence[Span]]] = []

    def progress(self, progress: Progress) -> None:
        self.told.append(progress)

    def spans(self, slot: str, spans: Sequence[Span]) -> None:
        self.seen.append((slot, spans))


@dataclass(frozen=True)
class SmallJob:
    """A job and the machine that it runs on."""

    spec: JobSpec
    machine: Machine

    @property
    def resolved(self) -> ResolvedJob:
        return resolve(self.spec, self.machine)

    def but(self, **changes: Any) -> "SmallJob":
        """The same with other parts of its specification."""
        return SmallJob(replace(self.spec, **changes), self.machine)

    def with_output(self, output: Sequence[int]) -> "SmallJob":
        """The same with other output lengths."""
        listed = self.spec.workload.listed
        assert listed is not None
        table = replace(listed, output=numbers(output))
        return self.but(workload=replace(self.spec.workload, listed=table))

    def run(self, packed: int = 64) -> JobResult:
        """Run it in this process, with so many modules in what would be one device process.

        All books are audited at every window.
        """
        with patch.object(replica, "AUDIT_WINDOWS", 1):
            return asyncio.run(
                run_job(self.resolved, source_of(self.machine, packed), Watcher(), asyncio.Event())
            )


def source_of(machine: Machine, packed: int = 64) -> DeviceSource:
    """All devices of a machine."""
    devices: dict[str, Any] = {
        "gpu": GpuDevice([Identity("gpu")]),
        "link": InterconnectDevice([Identity("link")]),
    }
    names = [f"dimm-{module:02d}" for module in range(machine.attention.modules)]
    for first in range(0, len(names), packed):
        part = [Identity(name, name) for name in names[first : first + packed]]
        devices[f"dimms-{first}"] = DimmPimDevice(part)
    return InProcessSource(devices)


def numbers(values: Sequence[int]) -> np.ndarray:
    """int64."""
    return np.array(values, dtype=np.int64)


def listed(
    prompt: Sequence[int],
    output: Sequence[int],
    arrival_ps: Sequence[int] | None = None,
    prefixes: Sequence[tuple[int, int]] | None = None,
) -> WorkloadSpec:
    """Requests of these lengths, with (number, tokens) of their prefixes."""
    arrival = numbers(arrival_ps if arrival_ps is not None else [0] * len(prompt))
    lines = numbers(range(1, len(prompt) + 1))
    common = None
    if prefixes is not None:
        common = Prefixes(*(numbers([one[column] for one in prefixes]) for column in range(2)))
    requests = Requests(numbers(prompt), numbers(output), arrival, lines, common)
    return WorkloadSpec("listed", listed=requests)


def small_machine(modules: int = 4, gpus: int = 1, modules_per_channel: int = 2, **settings: Any) -> Machine:
    """`l3-mini` with other sizes; settings as `attention__n_hc=4`."""
    raw = load_machine("l3-mini").resolved()
    raw["name"] = "small"
    raw["attention"]["modules"] = modules
    raw["attention"]["modules_per_channel"] = modules_per_channel
    raw["gpu"]["gpus"] = gpus
    raw["gpu"]["memory_reserve_share"] = 0.0
    raw["attention"]["level"] = "roofline"  # these tests are of the engine, and heads here fill no chip
    raw["attention"]["kv_block_tokens"] = 1
    for key, value in settings.items():
        section, _, name = key.partition("__")
        raw[section][name] = value
    return machine_from(raw, "test")


def sized(machine: Machine, layout: Layout, model: ModelShape, rank_tokens: float, gpu_bytes: int) -> Machine:
    """The machine with so much room: a rank's, in tokens of a request that lies on it; a replica's GPUs'."""
    blocks = -int(-rank_tokens // layout.kv_block_tokens)
    room = blocks * int(layout.pieces(model.layers).max()) * layout.block_bytes(model)
    capacity = room * layout.dp * layout.ranksets * layout.ranks
    memory = -(-(model.weight_bytes + gpu_bytes) // layout.tp)
    sizes = [("attention.capacity_bytes", capacity), ("gpu.memory_bytes", memory)]
    return machine.with_settings(sizes)


def lines_of(result: JobResult) -> list[dict[str, Any]]:
    """requests.jsonl, read."""
    return [json.loads(line) for line in result.artifacts["requests.jsonl"].splitlines()]


def without_exchange(result: JobResult) -> bytes:
    """The report as bytes, but for what may differ between runs."""
    return json.dumps({**result.report.to_dict(), "exchange": None}).encode()


SETTINGS = {
    "gpu__level": st.sampled_from(["roofline", "calibrated"]),
    "gpu__kernel_overhead_us": st.sampled_from([0.0, 0.5, 4.0]),
    "attention__ranks_per_module": st.sampled_from([1, 2]),
    "attention__n_hc": st.sampled_from([None, 1, 4, 8]),
    "attention__ccd_l_tck": st.sampled_from([8, 6400]),
    # None: a row of all banks, 512 tokens and more of these small heads.
    "attention__kv_block_tokens": st.sampled_from([1, 1, 4, 4, 16, None]),
    # With one rankset there are few places, so that prefixes meet.
    "attention__ranksets": st.sampled_from([None, None, 1]),
    # Slow channels leave prefill KV on its way for many rounds.
    "link__channel_bytes_per_s": st.sampled_from([25.6e9, 3e8, 3e7]),
    "link__setup_us": st.sampled_from([0.0, 1.0]),
    "link__relayout": st.sampled_from(["unit", "unit", "cpu"]),
    "link__overlap": st.sampled_from(["rankset", "rankset", "off"]),
    "link__channel_bus": st.sampled_from(["half", "half", "full"]),
    "host__sample_us": st.sampled_from([0.0, 0.0, 7.0]),
    "host__schedule_us": st.sampled_from([0.0, 50.0]),
    "host__schedule_request_us": st.sampled_from([0.0, 0.0, 2.5]),
    "host__launch_us": st.sampled_from([0.0, 0.0, 9.0]),
    "host__output_request_us": st.sampled_from([0.0, 0.0, 3.0]),
    "host__output_us": st.sampled_from([0.0, 20.0, 500.0]),
    "scheduler__admit_watermark": st.sampled_from([0.0, 0.05, 0.3]),
    "scheduler__kv_reserve_tokens": st.sampled_from([0, 0, 10]),
    "scheduler__prefix_sharing": st.sampled_from(["off", "balanced", "longest", "longest"]),
    "scheduler__aging_s": st.sampled_from([1e-5, 1e-3, 10.0]),
    "scheduler__max_chunk_tokens": st.sampled_from([64, 100, 192]),
    "scheduler__min_chunk_tokens": st.just(64),
}
L3_SETTINGS = {
    "scheduler__horizon": st.sampled_from([1, 3, 64]),
    "scheduler__selection": st.sampled_from(["aligned", "all"]),
    "scheduler__admission": st.sampled_from(["memory", "aligned"]),
    "scheduler__chunking": st.sampled_from(["aligned", "whole"]),
    "scheduler__sub_batches": st.sampled_from([1, 2, 2]),
    "scheduler__step": st.sampled_from([None, None, 3]),
    "scheduler__alignment": st.sampled_from([0.5, 1.0, 1.0, 2.0]),
    "scheduler__predictor": st.sampled_from(["learned", "tables", "oracle"]),
    "scheduler__token_budget": st.sampled_from([1, 5, 70, 2048]),
    "scheduler__max_requests": st.sampled_from([None, None, 1, 3]),
}


def stripes(block_tokens: int | None) -> st.SearchStrategy[dict[str, Any]]:
    """Whether KV is striped, and by how many tokens."""
    block = {"attention__partition": "block"}
    some = [
        {},
        {},
        block,
        *({**block, "attention__stripe_tokens": each} for each in sized_stripes(block_tokens)),
    ]
    return st.sampled_from(some)


def sized_stripes(block_tokens: int | None) -> list[int]:
    """Stripes of a few whole blocks."""
    return [] if block_tokens is None else [block_tokens * count for count in (1, 3, 10)]


THINK_S = st.sampled_from([0.0, 1e-4, 0.02])
EVERY_POLICY = ("serial", "fill", "l3", "chunked", "static")


@st.composite
def small_jobs(draw: st.DrawFn, policies: Sequence[str] = EVERY_POLICY) -> SmallJob:
    """Jobs of up to 7 requests in which memory is short on either side, windows still to be set."""
    policy = draw(st.sampled_from(policies))
    chosen: dict[str, Any] = {key: draw(values) for key, values in (SETTINGS | L3_SETTINGS).items()}
    heads, kv_heads = draw(st.sampled_from([(4, 4), (4, 2), (4, 1), (6, 6)]))
    model = small_model(layers=draw(st.integers(1, 5)), heads=heads, kv_heads=kv_heads)
    tp, dp = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]))
    chosen |= draw(stripes(chosen["attention__kv_block_tokens"]))
    machine = small_machine(gpus=tp * dp, modules_per_channel=draw(st.sampled_from([1, 2])), **chosen)

    count = draw(st.integers(3, 8))
    # Short prompts with long outputs enter together and outgrow the ranks; long ones are short of GPU memory.
    most, outputs, rooms, gpus = draw(
        st.sampled_from(
            [
                (20, [30, 60], [1.0, 1.3], [100.0]),
                (20, [1, 40], [1.0, 1.7], [100.0, 1.5]),
                (250, [1, 2, 7, 30], [1.15, 1.7, 6.0], [1.0, 1.5, float(model.layers), 100.0]),
            ]
        )
    )
    prompt = draw(st.lists(st.integers(1, most), min_size=count, max_size=count))
    output = draw(st.lists(st.sampled_from(outputs), min_size=count, max_size=count))
    longest = max(one + other for one, other in zip(prompt, output, strict=True)) - 1
    layout = layout_of(machine.attention, model, tp, dp)
    # From just enough for the longest alone; and from one of its layers to all that there is.
    rank_tokens = longest * draw(st.sampled_from(rooms))
    gpu_bytes = int(longest * model.layer_kv_bytes * draw(st.sampled_from(gpus)))
    machine = sized(machine, layout, model, rank_tokens, gpu_bytes)

    arrival = draw(st.sampled_from(["offline", "closed", "open"]))
    most_ps = draw(st.sampled_from([10**8, 10**9, 10**10])) if arrival == "open" else 0
    gaps = [draw(st.integers(0, most_ps)) for _ in range(count)]
    prefixes = None
    if draw(st.booleans()):
        shares = [(draw(st.sampled_from([0, 1, 1, 2])), draw(st.integers(1, 8))) for _ in range(count)]
        prefixes = [
            (number, -(-tokens * eighths // 8) if number else 0)
            for (number, eighths), tokens in zip(shares, prompt, strict=True)
        ]
    workload = listed(prompt, output, np.cumsum(gaps).tolist(), prefixes)
    if arrival == "closed":
        workload = replace(workload, concurrency=draw(st.integers(dp, 4)), think_s=draw(THINK_S))
    if draw(st.booleans()):
        workload = replace(workload, priorities=((0, 1.0), (1, 1.0), (9, 1.0)))
    # Who knows all lengths reserves nothing.
    oracle = not chosen["scheduler__kv_reserve_tokens"] and draw(st.sampled_from([False, False, True]))
    spec = JobSpec(workload, model=model, policy=policy, tp=tp, dp=dp, oracle_lengths=oracle)
    return SmallJob(spec, machine)


def model_of(job: SmallJob) -> ModelShape:
    """Its model, checked to be a shape."""
    return msgspec.convert(msgspec.to_builtins(job.spec.model), ModelShape)

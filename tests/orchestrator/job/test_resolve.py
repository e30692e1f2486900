"""From what a user asked for to what will run: defaults, and every refusal with its exact text."""

from dataclasses import replace
from typing import Any

import pytest

from l3sim.errors import InvalidInput
from l3sim.orchestrator.job.resolve import ResolvedJob, resolve
from l3sim.specs.catalog import MODELS, load_machine, load_model, model_names
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.small_jobs import listed, sized, small_machine

WORKLOAD = WorkloadSpec("fixed:100:10", count=3)
REFERENCE, MINI = load_machine("l3-dgx-a100"), load_machine("l3-mini")


def resolved(on: Any = REFERENCE, **changes: Any) -> ResolvedJob:
    return resolve(JobSpec(**({"workload": WORKLOAD} | changes)), on)


@pytest.mark.parametrize(
    ("machine", "changes", "expected"),
    [
        (REFERENCE, {}, ("gpt-175b", 8, 1)),
        (REFERENCE, {"model": "opt-66b"}, ("opt-66b", 8, 1)),
        (REFERENCE, {"model": "qwen-72b"}, ("qwen-72b", 8, 1)),
        (REFERENCE, {"model": "llama-2-70b"}, ("llama-2-70b", 8, 1)),
        (REFERENCE, {"model": "llama-2-7b"}, ("llama-2-7b", 8, 1)),
        (REFERENCE, {"model": "llama-2-7b", "tp": 4}, ("llama-2-7b", 4, 2)),
        (REFERENCE, {"model": "llama-2-7b", "dp": 2}, ("llama-2-7b", 4, 2)),
        (REFERENCE, {"model": "llama-2-7b", "tp": 2, "dp": 2}, ("llama-2-7b", 2, 2)),
        (MINI, {}, ("llama-2-7b", 1, 1)),
    ],
)
def test_defaults_are_those_of_model_and_machine(
    machine: Any, changes: dict[str, Any], expected: tuple[str, int, int]
) -> None:
    job = resolved(machine, **changes)
    assert (job.model.name, job.layout.tp, job.layout.dp) == expected
    assert (job.policy, job.requests, job.output_tokens) == ("adaptive", 3, 30)


@pytest.mark.parametrize("model", model_names())
def test_gpu_memory_beside_the_weights(model: str) -> None:
    job = resolved(REFERENCE, model=model, policy="l3")
    usable = int(80 * 2**30 * 0.94) * job.layout.tp
    assert job.weight_room_bytes == usable - job.model.weight_bytes > 0


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("l3-mini", {"machine": "l3-dgx-a100"}, "machine: this machine is 'l3-mini', not 'l3-dgx-a100'"),
    (
        "l3-mini",
        {"model": "llama-2-8b"},
        "model: unknown model 'llama-2-8b'; did you mean 'llama-2-7b'? "
        "(there are: gpt-175b, llama-2-70b, llama-2-7b, opt-66b, qwen-72b)",
    ),
    (
        "l3-mini",
        {"policy": "fil"},
        "policy: unknown policy 'fil'; did you mean 'fill'? (there are: adaptive, chunked, fill, l3, serial, "
        "static)",
    ),
    (
        "l3-mini",
        {"policy": "fill", "settings": (("scheduler.horizon", "8"),)},
        "scheduler.horizon: policy 'fill' does not read it "
        "(it reads: admit_watermark, aging_s, kv_reserve_tokens, max_chunk_tokens, min_chunk_tokens, "
        "prefix_sharing); use --policy l3",
    ),
    (
        "l3-mini",
        {"settings": (("scheduler.horizons", "8"),)},
        "scheduler.horizons: unknown key 'horizons'; did you mean 'horizon'? (there are: "
        "admission, admit_watermark, aging_s, alignment, chunking, gpu_kv_share, horizon, kv_reserve_tokens, "
        "max_chunk_tokens, max_requests, min_chunk_tokens, predictor, prefix_sharing, selection, step, "
        "sub_batches, token_budget)",
    ),
    (
        "l3-mini",
        {"policy": "l3", "settings": (("scheduler.selection", "all"), ("scheduler.step", "4"))},
        "scheduler.step: contradicts scheduler.selection=all; set one of them",
    ),
    (
        "l3-mini",
        {"settings": (("scheduler.kv_reserve_tokens", "8"),), "oracle_lengths": True},
        "scheduler.kv_reserve_tokens: 8 tokens contradict --oracle-lengths, which books what each request "
        "will hold; use 0",
    ),
    (
        "l3-mini",
        {"settings": (("scheduler.alignment", "0"),)},
        "scheduler.alignment: l3-mini: Expected `float` >= 0.01, got 0",
    ),
    ("l3-mini", {"regret_plans": 1001}, "regret_plans: must be 1 to 1000, got 1001"),
    ("l3-mini", {"slo": (("tbt_s", 0.0),)}, "slo.tbt_s: must be above 0 seconds, got 0.0"),
    (
        "l3-mini",
        {"settings": (("dimm.n_hc", "8"),)},
        "set: unknown section 'dimm' (there are: attention, gpu, host, link, scheduler)",
    ),
    (
        "l3-mini",
        {"settings": (("attention.modules", "8"),)},
        "attention.modules: belongs to the machine, not to a job; use another machine file",
    ),
    (
        "l3-mini",
        {"settings": (("attention.memory_share", "1.5"),)},
        "attention.memory_share: l3-mini: Expected `float` <= 1.0, got 1.5",
    ),
    (
        "l3-mini",
        {"settings": (("link.overlap", "[off"),)},
        "link.overlap: cannot read '[off' as a value",
    ),
    ("l3-mini", {"max_window": 0}, "max_window: must be 1 to 1000000000, got 0"),
    ("l3-mini", {"max_window": 10**9 + 1}, "max_window: must be 1 to 1000000000, got 1000000001"),
    ("l3-mini", {"spans_rounds": -1}, "spans_rounds: must be 1 to 10000, got -1"),
    ("l3-mini", {"tp": 2}, "tp: must be 1 to 1 (the machine's GPUs), got 2"),
    ("l3-mini", {"tp": -1}, "tp: must be 1 to 1024, got -1"),
    ("l3-dgx-a100", {"tp": 5}, "tp: 5 does not divide the 96 heads of gpt-175b"),
    ("l3-dgx-a100", {"dp": 9}, "dp: must be 1 to 8 (the machine's GPUs), got 9"),
    ("l3-dgx-a100", {"dp": -1}, "dp: must be 1 to 1024, got -1"),
    ("l3-dgx-a100", {"tp": 4, "dp": 4}, "dp: 4 x 4 GPUs are more than the machine's 8"),
    (
        "l3-dgx-a100",
        {"model": "llama-2-7b", "tp": 1, "dp": 3},
        "dp: 16 memory channels cannot be shared by 3 replicas; use a divisor",
    ),
    (
        "l3-dgx-a100",
        {"model": "opt-66b", "tp": 2, "workload": replace(WORKLOAD, concurrency=3)},
        "workload.concurrency: 3 clients are fewer than the 4 replicas; each needs one at least",
    ),
    (
        "l3-mini",
        {"model": "gpt-175b"},
        "model: gpt-175b needs 349.2 GB of weights, 1 GPU(s) of l3-mini hold 80.7 GB; "
        "use more GPUs a replica (--tp) or a smaller model",
    ),
    (
        "l3-mini",
        {"workload": WorkloadSpec("fixed:524000:290", count=2)},
        "workload.requests[0]: line 1: needs 524289 tokens of KV, an empty replica of l3-mini holds 524288",
    ),
]


@pytest.mark.parametrize(("machine", "changes", "text"), REFUSED)
def test_refused(machine: str, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        resolved(load_machine(machine), **changes)
    assert str(refused.value) == text


def test_a_reservation_of_the_machine_contradicts_known_lengths_as_well() -> None:
    machine = small_machine(scheduler__kv_reserve_tokens=8)
    spec = JobSpec(WORKLOAD, model=small_model())
    assert resolve(spec, machine).machine.scheduler.kv_reserve_tokens == 8
    with pytest.raises(InvalidInput, match="8 tokens contradict --oracle-lengths"):
        resolve(replace(spec, oracle_lengths=True), machine)


def small_room(rank_tokens: float, gpu_bytes: int) -> Any:
    """A machine with room for so many tokens, and its model."""
    model, machine = small_model(), small_machine()
    layout = resolve(JobSpec(WORKLOAD, model=model), machine).layout
    return sized(machine, layout, model, rank_tokens, gpu_bytes), model


def test_the_largest_request_that_fits_is_accepted_and_one_token_more_refused_by_its_line() -> None:
    machine, model = small_room(100, 10**9)
    held = resolve(JobSpec(listed([50, 91, 60], [1, 10, 40]), model=model), machine)
    assert held.requests == 3
    with pytest.raises(InvalidInput) as refused:
        resolve(JobSpec(listed([50, 91, 92], [1, 10, 10]), model=model), machine)
    assert str(refused.value) == (
        "workload.requests[2]: line 3: needs 101 tokens of KV, an empty replica of small holds 100"
    )


def test_gpu_memory_must_hold_one_layer_of_a_prompt_recomputed_at_its_longest() -> None:
    layer = small_model().layer_kv_bytes
    machine, model = small_room(1000, 100 * layer)
    assert resolve(JobSpec(listed([91], [10]), model=model, policy="l3"), machine).requests == 1
    with pytest.raises(InvalidInput) as refused:
        resolve(JobSpec(listed([5, 92], [5, 10]), model=model, policy="l3"), machine)
    assert str(refused.value) == (
        f"workload.requests[1]: line 2: needs {101 * layer} bytes of GPU memory for one layer's prefill KV, "
        f"{100 * layer} are left of it"
    )


def test_warnings_count_requests_past_the_learned_positions() -> None:
    workload = listed([2000, 2040, 10], [48, 9, 2039])
    (warning,) = resolved(REFERENCE, workload=workload).warnings
    assert warning == (
        "2 requests go past the 2048 positions that gpt-175b learned; they are simulated all the same"
    )
    assert resolved(REFERENCE, workload=workload, model="llama-2-70b").warnings == ()


def test_warnings_of_what_a_configuration_says() -> None:
    workload = listed([4000, 4090, 40000], [96, 7, 10])
    mistral = load_model(str(MODELS / "samples" / "mistral-7b.json"))
    positions, window = resolved(REFERENCE, workload=workload, model=mistral).warnings
    assert positions == (
        "1 requests go past the 32768 positions that mistral-7b was made for; they are simulated all the same"
    )
    assert window == (
        "2 requests go past the sliding window of 4096 tokens of mistral-7b, which is not modelled: "
        "every layer keeps and attends all tokens"
    )
    assert resolved(REFERENCE, workload=listed([4000], [96]), model=mistral).warnings == ()


@pytest.mark.parametrize(
    ("machine", "sample", "tp"),
    [
        (REFERENCE, "llama-3.1-8b", 8),
        (REFERENCE, "falcon-40b", 8),
        (REFERENCE, "falcon-7b", 1),  # 71 heads: no other degree divides them
        (MINI, "llama-3.1-8b", 1),
    ],
)
def test_a_model_without_a_tp_gets_the_best_estimate(machine: Any, sample: str, tp: int) -> None:
    job = resolved(machine, model=load_model(str(MODELS / "samples" / f"{sample}.json")))
    assert (job.layout.tp, job.layout.dp) == (tp, machine.gpu.gpus // tp)
    assert job.weight_room_bytes > 0


def test_weights_that_no_tp_holds_are_refused_with_the_numbers() -> None:
    with pytest.raises(
        InvalidInput, match=r"model: falcon-40b needs 82\.6 GB of weights, 1 GPU\(s\) of l3-mini"
    ):
        resolved(MINI, model=load_model(str(MODELS / "samples" / "falcon-40b.json")))


def test_warning_of_an_idealisation() -> None:
    job = resolved(MINI, settings=(("link.channel_bus", "full"),))
    assert job.warnings == ("link.channel_bus=full is an idealisation: a DDR bus is half duplex",)


def test_copies_by_the_processor_on_one_side_only_are_warned_of() -> None:
    one, both = ("link.relayout", "cpu"), ("attention.relayout", "cpu")
    assert resolved(MINI, settings=(one,)).warnings == (
        "attention.relayout is unit, but link.relayout is cpu: the processor's copies take time on one side "
        "only; set both",
    )
    assert resolved(MINI, settings=(one, both)).warnings == ()
    assert resolved(MINI, settings=(one, ("attention.level", "roofline"))).warnings == ()


def test_settings_are_yaml_values() -> None:
    settings = (("attention.memory_share", "0.5"), ("attention.n_hc", "4"), ("link.overlap", "off"))
    machine = resolved(MINI, settings=(*settings, ("gpu.compute_flops", "2e14"))).machine
    assert (machine.attention.memory_share, machine.attention.n_hc) == (0.5, 4)
    assert (machine.link.overlap, machine.gpu.compute_flops) == ("off", 2e14)
    assert machine.sources["attention.n_hc"] == "job"


@pytest.mark.parametrize("changed", ["memory_share", "policy", "seed", "model", "workload"])
def test_the_digest_tells_jobs_apart(changed: str) -> None:
    changes: dict[str, Any] = {
        "memory_share": {"settings": (("attention.memory_share", "0.5"),)},
        "policy": {"policy": "fill"},
        "seed": {"seed": 1},
        "model": {"model": small_model()},
        "workload": {"workload": WorkloadSpec("fixed:100:11", count=3)},
    }
    assert resolved(MINI, **changes[changed]).digest != resolved(MINI).digest
    assert resolved(MINI).digest == resolved(MINI).digest

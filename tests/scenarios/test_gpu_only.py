"""GPUs that attend themselves, against the formula that a spreadsheet would have.

a round = all layers' weights / bandwidth + KV of all requests / bandwidth + overheads
"""

from dataclasses import replace
from typing import Any

import pytest

from l3sim.clients.options import JobOptions
from l3sim.launch.compare.jobs import run_one
from l3sim.specs.catalog import load_machine, load_model

MACHINE, MODEL, TP, DP = "gpu-only-dgx-a100", "llama-2-70b", 4, 2


def report(**options: Any) -> dict[str, Any]:
    options = {"model": MODEL, "requests": 64, "policy": "serial", "tp": TP, **options}
    found = run_one(JobOptions(**options).spec("fixed:1024:256"), MACHINE, "")
    assert found.report is not None, found.refused
    assert found.report.invariants == "ok"
    assert (found.report.parallel.tp, found.report.parallel.dp) == (TP, DP)
    return found.report.to_dict()


def test_an_iteration_is_weights_and_kv_over_bandwidth_and_overheads() -> None:
    told = report(settings=["gpu.level=roofline"])
    gpu, host, model = load_machine(MACHINE).gpu, load_machine(MACHINE).host, load_model(MODEL)
    batch = 64 // DP
    bandwidth = TP * gpu.memory_bytes_per_s * gpu.memory_efficiency
    layer_bytes = 2 * (model.qkv_parameters + model.output_parameters + model.ffn_parameters)
    head_bytes = 2 * model.hidden * model.vocabulary
    weights_s = (model.layers * layer_bytes + head_bytes) / bandwidth
    # Decoding rounds attend 1025 to 1279 tokens a request, the new one included.
    kv_s = batch * (1025 + 1279) / 2 * model.kv_bytes_per_token / bandwidth
    # Two all-reduces a layer: a ring of 2 (TP - 1) steps, each of a TP-th of the activations.
    ring = 2 * (TP - 1)
    moved = batch * model.hidden * 2 / TP
    step_s = gpu.fabric_latency_us / 1e6 + moved / (gpu.fabric_bytes_per_s * gpu.fabric_efficiency)
    reduce_s = 2 * model.layers * ring * step_s
    # Norms, QKV, attention, projection, FFN up and down: kernels of a layer, each with its overhead.
    overhead_s = model.layers * 7 * gpu.kernel_overhead_us / 1e6
    host_s = (host.schedule_us + host.launch_us) / 1e6
    expected = weights_s + kv_s + reduce_s + overhead_s + host_s
    assert told["iteration_s"]["p50"] == pytest.approx(expected, rel=0.05)


def test_windows_and_lockstep_agree_and_nothing_crosses_a_link() -> None:
    window, lockstep = report(requests=8), report(requests=8, max_window=1)
    for one in (window, lockstep):
        one.pop("exchange")
    assert window == lockstep
    assert window["utilization"]["link_down"] == window["energy_j"]["link"] == 0
    assert [device["slot"] for device in window["provenance"]["devices"]] == ["gpu"]
    assert 0 < window["utilization"]["attention"] < window["utilization"]["gpu"] <= 1


@pytest.mark.parametrize("policy", ["chunked", "fill", "static"])
def test_other_policies_run_and_gpus_account_for_their_time(policy: str) -> None:
    told = report(requests=24, policy=policy)
    busy_s = told["utilization"]["gpu"] * DP * told["makespan_s"]
    attend_s = told["utilization"]["attention"] * DP * told["makespan_s"]
    assert sum(told["gpu_time_s"].values()) == pytest.approx(busy_s, rel=1e-9)
    # Prefill attention, and decode attention but its launches.
    assert 0 < 0.5 * attend_s < told["gpu_time_s"]["attention"]


def test_what_a_choice_cost_is_asked_of_the_policies_that_could_run() -> None:
    told = report(requests=24, policy="chunked", regret=4)
    plain = report(requests=24, policy="chunked")
    assert told["iteration_s"] == plain["iteration_s"]


def test_kv_takes_what_weights_and_reserve_leave() -> None:
    told, gpu = report(requests=8), load_machine(MACHINE).gpu
    usable = int(gpu.memory_bytes * (1 - gpu.memory_reserve_share)) * TP
    assert told["kv"]["capacity_bytes"] == DP * (usable - load_model(MODEL).weight_bytes)


def test_policies_that_need_a_slot_for_attention_are_refused() -> None:
    spec = JobOptions(model=MODEL, requests=1, policy="l3").spec("fixed:1:1")
    found = run_one(spec, MACHINE, "")
    able = "chunked, fill, serial, static"
    assert found.refused == f"policy: 'l3' is not for GPUs that attend themselves; use one of: {able}"
    assert run_one(replace(spec, policy="auto"), MACHINE, "").policy == "chunked"

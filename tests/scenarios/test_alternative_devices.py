"""The same job on machines that differ in their attention devices only.

GPUs --- link --- [ dimm-pim | dimm-pim, pu: rank | hbm-pim | cpu-attention ]
"""

from dataclasses import replace
from typing import Any

import pytest

from l3sim.clients.options import JobOptions
from l3sim.launch.compare.jobs import run_one
from l3sim.specs.catalog import load_machine

#: As fast as the clocks can be said; chips, links and set-up no longer count.
FAST_DRAM: dict[str, Any] = {"tck_ps": 1, "ccd_s_tck": 1, "ccd_l_tck": 1, "rcd_tck": 0, "rp_tck": 0}
FAST_DRAM |= {"pass_overhead_ns": 0}
DIMM = {**FAST_DRAM, "level": "roofline", "bl_tck": 1, "column_bytes": 64, "banks_per_chip": 256}
DIMM |= {"capacity_bytes": 2**60, "softmax_elements_per_s": 1.28e16}
HBM = {**FAST_DRAM, "level": "roofline", "column_bytes": 256, "banks": 256, "module_capacity_bytes": 2**55}
HBM |= {"softmax_elements_per_s": 5.12e17, "prefill_share": 0.5}
#: The same command by command: a head's dimensions must fill the banks.
HBM_FAST = {**HBM, "level": "fast", "banks": 128, "bl_tck": 1, "mac_latency_tck": 0, "softmax_latency_tck": 0}
HBM_FAST |= {"mapping": "striped"}
HBM_FAST |= {f"{name}_tck": 0 for name in ("ras", "rc", "cl", "wl", "wtr_s", "wtr_l", "wr", "rtp", "rfc")}
ALTERNATIVES = [
    "gpu-only-dgx-a100",
    "r-pim-dgx-a100",
    "hbm-pim-dgx-a100",
    "hbm-pim-ext-dgx-a100",
    "hbm-pim-dgx-h100",
    "cpu-dgx-a100",
]
LINK = {"pcie_bytes_per_s": 3.2e16, "channel_bytes_per_s": 2.56e16, "setup_us": 0}


def iteration_s(name: str, attention: dict[str, Any]) -> float:
    settings = [f"attention.{key}={value}" for key, value in attention.items()]
    settings += [f"link.{key}={value}" for key, value in LINK.items()]
    options = JobOptions(model="llama-2-70b", requests=64, settings=settings, policy="fill")
    found = run_one(options.spec("fixed:256:32"), name, "")
    assert found.report is not None, found.refused
    assert found.report.invariants == "ok"
    return found.report.iteration_s.mean or 0.0


def test_without_limits_all_attention_devices_are_the_same() -> None:
    l3 = iteration_s("l3-dgx-a100", DIMM)
    assert iteration_s("r-pim-dgx-a100", DIMM) == pytest.approx(l3, rel=0.001)
    assert iteration_s("hbm-pim-dgx-a100", HBM) == pytest.approx(l3, rel=0.001)
    assert iteration_s("hbm-pim-dgx-a100", HBM_FAST) == pytest.approx(l3, rel=0.001)


@pytest.mark.parametrize(
    ("name", "bytes_per_s"),
    [
        ("l3-dgx-a100", 13.1e12),
        ("r-pim-dgx-a100", 1.6384e12),
        ("hbm-pim-dgx-a100", 260.8e12),
        ("hbm-pim-ext-dgx-a100", 130.4e12),
        ("cpu-dgx-a100", 409.6e9),
    ],
)
def test_bandwidth_is_the_published_one(name: str, bytes_per_s: float) -> None:
    assert load_machine(name).attention.kv_bytes_per_s == pytest.approx(bytes_per_s, rel=0.001)


@pytest.mark.parametrize("name", ALTERNATIVES)
@pytest.mark.parametrize("model", ["gpt-175b", "opt-66b", "qwen-72b"])
def test_every_machine_runs_every_published_model(name: str, model: str) -> None:
    spec = JobOptions(model=model, requests=8).spec("fixed:128:16")
    found = run_one(replace(spec, policy="auto"), name, "")
    assert found.report is not None, found.refused
    assert found.report.invariants == "ok"
    assert found.report.requests.completed == 8

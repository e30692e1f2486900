"""One job, many ways to run it, the same report byte for byte but `exchange`.

in process, windowed  ==  in process, lockstep
        ==                        ==
gRPC, a process a module  ==  gRPC, modules packed  ==  gRPC, lockstep
"""

import json
from typing import Any

import pytest

from tests.commands import Commands

#: Preemptions, DP 2, aligned plans that leave somebody out, arrivals while rounds run.
JOBS = {
    "mini": ["fixed:48:24", "--requests", "12", "--machine", "l3-mini", "--policy", "l3"],
    "mini, Poisson, tight memory": [
        *["fixed:300:300", "--requests", "16", "--machine", "l3-mini", "--rate", "40", "--seed", "3"],
        *["--set", "attention.capacity_bytes=2400000000", "--set", "scheduler.horizon=3", "--policy", "l3"],
    ],
    "two homes, KV that moves": [
        *["fixed:300:300", "--requests", "16", "--machine", "l3-mini", "--rate", "40", "--seed", "3"],
        *["--set", "scheduler.gpu_kv_share=0.02"],
    ],
    "KV in stripes, tight memory": [
        *["fixed:300:300", "--requests", "16", "--machine", "l3-mini", "--rate", "40", "--seed", "3"],
        *["--set", "attention.capacity_bytes=2400000000", "--set", "scheduler.horizon=3", "--policy", "l3"],
        *["--set", "attention.partition=block", "--set", "attention.kv_block_tokens=16"],
        *["--set", "attention.stripe_tokens=64"],
    ],
    "two replicas, closed loop": [
        *["dolphin-short", "--requests", "14", "--machine", "l3-mini", "--model", "llama-2-7b"],
        *["--concurrency", "5", "--policy", "fill"],
    ],
}


def report(l3: Commands, *words: str) -> dict[str, Any]:
    """The report of `./l3 run`, without what may differ."""
    full: dict[str, Any] = l3.json("run", *words, "--json")
    assert full["invariants"] == "ok"
    full.pop("exchange")
    return full


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS.keys())
def test_every_way_to_run_a_job_gives_the_same_report(l3: Commands, job: list[str]) -> None:
    expected = report(l3, *job, "--in-process")
    assert report(l3, *job, "--in-process", "--max-window", "1") == expected
    assert report(l3, *job) == expected
    assert report(l3, *job, "--modules-per-process", "4") == expected
    assert report(l3, *job, "--modules-per-process", "2", "--max-window", "1") == expected


def test_shared_prefixes_are_shared_alike_over_the_wire(l3: Commands) -> None:
    """Two texts, of which blocks of 16 tokens are shared while requests come, go and are preempted."""
    lines = [
        json.dumps({"prompt_tokens": 300, "output_tokens": 90, "prefix_id": n % 2, "prefix_tokens": 200})
        for n in range(12)
    ]
    (l3.folder / "chat.jsonl").write_text("\n".join(lines))
    job = [str(l3.folder / "chat.jsonl"), "--machine", "l3-mini", "--set", "attention.kv_block_tokens=16"]
    job += ["--set", "attention.capacity_bytes=1200000000", "--set", "scheduler.prefix_sharing=longest"]
    job += ["--policy", "l3"]
    expected = report(l3, *job, "--in-process")
    assert expected["kv"]["prefix"]["hit_rate"] > 0.5
    assert expected["preemptions"] > 0
    assert report(l3, *job, "--modules-per-process", "2") == expected


def test_the_hardest_job_does_preempt_and_leave_out(l3: Commands) -> None:
    # Otherwise the test above would not show what it says.
    tight = report(l3, *JOBS["mini, Poisson, tight memory"], "--in-process")
    assert tight["preemptions"] > 0


def test_a_slower_module_changes_the_report_the_same_way_everywhere(l3: Commands) -> None:
    """One module process of four is started with half bandwidth."""
    job = JOBS["mini"]
    slower = ["--override", "dimm-02.ccd_l_tck=16"]
    whole = report(l3, *job, "--in-process")
    in_process = report(l3, *job, *slower, "--in-process")
    assert in_process["utilization"]["attention"] > whole["utilization"]["attention"]
    assert report(l3, *job, *slower) == in_process


def test_lockstep_asks_for_one_round_at_a_time(l3: Commands) -> None:
    full = l3.json("run", *JOBS["mini"], "--max-window", "1", "--json")
    assert full["exchange"]["windows"] == full["iterations"] > 20

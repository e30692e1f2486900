"""Runs of the page: how many requests memory holds, and what is compared with what."""

import pytest

from l3sim.launch.reproduce.plan import (
    AS_PUBLISHED,
    OURS,
    bounded,
    context_of,
    held_by,
    ratio,
    run_of,
    steady_ratio,
)
from l3sim.launch.reproduce.runs import Outcome


def test_a_decoding_request_attends_half_its_length_weighted_mean() -> None:
    assert context_of("openr1") == pytest.approx(96.0 + (12684.1**2 + 8464.6**2) / (2 * 12684.1))
    assert context_of("openr1:max=20480") == context_of("openr1") == pytest.approx(9262, abs=1)
    assert context_of("dolphin-short") == pytest.approx(context_of("dolphin") / 10)


def test_outputs_are_bounded_as_the_published_run_lasted() -> None:
    assert bounded("openr1") == "openr1:max=20480"
    assert bounded("dolphin-short") == "dolphin-short:max=2048"


def test_memory_holds_what_its_decimal_capacity_says() -> None:
    # 640 GB less 349.2 GB of weights, and 2 TB, over 9,262 tokens of 4,718,592 B.
    gpus = run_of("gpu-only", "gpt-175b", "openr1", filled=True)
    assert held_by(gpus) == pytest.approx((640e9 - 349.2e9) / (9262 * 4718592), rel=1e-3)
    assert held_by(run_of("l3", "gpt-175b", "openr1", filled=True)) == pytest.approx(
        2e12 / (9262 * 4718592), rel=1e-3
    )


@pytest.mark.parametrize(
    ("system", "model", "at_once"),
    [
        ("gpu-only", "gpt-175b", 7),
        ("l3", "gpt-175b", 46),
        ("gpu-only", "qwen-72b", 128),
        ("l3", "opt-66b", 92),
    ],
)
def test_as_published_so_many_are_served_at_once_and_none_is_preempted(
    system: str, model: str, at_once: int
) -> None:
    run = run_of(system, model, "openr1")
    assert (run.machine, run.concurrency) == (f"{system}-{AS_PUBLISHED}", at_once)
    assert held_by(run) > 7 * at_once / run.resolved().layout.dp


def test_where_memory_holds_all_of_them_all_wait_at_time_0() -> None:
    run = run_of("l3", "qwen-72b", "dolphin")
    assert (run.requests, run.concurrency) == (1000, 0)


def test_our_machines_keep_their_memory() -> None:
    run = run_of("l3", "gpt-175b", "openr1", OURS)
    assert (run.machine, run.concurrency, run.settings) == ("l3-dgx-a100", 0, ())
    assert [run_of(one, "gpt-175b", "openr1").policy for one in ("l3", "gpu-only", "cpu")] == [
        "l3",
        "chunked",
        "fill",
    ]


def test_throughput_is_compared_over_whole_jobs_and_over_steady_parts() -> None:
    both = Outcome(whole_tokens_per_s=10.0, steady_tokens_per_s=30.0)
    tail = Outcome(whole_tokens_per_s=5.0)
    assert ratio(both, tail) == 2
    assert steady_ratio(both, tail) is None
    assert steady_ratio(both, Outcome(whole_tokens_per_s=5.0, steady_tokens_per_s=10.0)) == 3
    assert ratio(both, Outcome(refused="no")) is None
    assert ratio(None, both) is None

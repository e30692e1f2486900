"""TP and DP of a job: as asked, else by estimate."""

import numpy as np
import pytest

from l3sim.errors import InvalidInput
from l3sim.orchestrator.job.parallel import _estimate as estimate_of
from l3sim.orchestrator.job.parallel import best_tp, parallel
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.job import JobSpec
from l3sim.specs.machine import Machine
from l3sim.specs.requests import Requests
from l3sim.specs.workload import WorkloadSpec
from l3sim.testing.builders import small_model

GPUS, L3 = load_machine("gpu-only-dgx-a100"), load_machine("l3-dgx-a100")


def table_of(prompt: int, output: int, count: int) -> Requests:
    zeros = np.zeros(count, dtype=np.int64)
    return Requests(np.full(count, prompt), np.full(count, output), zeros, zeros)


@pytest.mark.parametrize("machine", [GPUS, L3], ids=lambda machine: machine.name)
@pytest.mark.parametrize("model", ["qwen-72b", "llama-2-70b", "opt-66b", "gpt-175b"])
def test_a_large_model_is_spread_over_all_gpus(machine: Machine, model: str) -> None:
    """Seen for qwen-72b and dolphin-short, tokens/s at TP 2, 4, 8 on GPUs alone: 2,169, 3,342, 4,052."""
    assert best_tp(machine, load_model(model), table_of(1000, 1000, 1000)) == 8


def test_kv_that_two_replicas_hold_needs_no_more() -> None:
    """Many short answers of a small model: compute binds, and collectives only cost."""
    assert best_tp(GPUS, load_model("llama-2-7b"), table_of(16, 1, 100_000)) < 8


def test_more_replicas_than_requests_would_idle() -> None:
    assert best_tp(GPUS, load_model("llama-2-7b"), table_of(16, 1, 1)) == 8


def test_replicas_without_a_request_are_worth_nothing() -> None:
    model, table = load_model("llama-2-7b"), table_of(16, 16, 100)
    assert estimate_of(GPUS, model, 1, table, most=7) == 0
    assert (estimate_of(GPUS, model, 1, table, most=8) or 0) > 0


def test_no_more_replicas_than_clients() -> None:
    table = table_of(16, 1, 100_000)
    free = best_tp(GPUS, load_model("llama-2-7b"), table)
    assert best_tp(GPUS, load_model("llama-2-7b"), table, clients=1) == 8 > free


def test_a_model_file_may_say_its_own() -> None:
    assert best_tp(GPUS, small_model(heads=8, default_tp=2), table_of(10, 10, 10)) == 2
    assert best_tp(GPUS, small_model(heads=8, default_tp=16), table_of(10, 10, 10)) == 8


def test_degrees_divide_heads_and_gpus() -> None:
    assert 6 % best_tp(GPUS, small_model(heads=6, default_tp=0), table_of(10, 10, 10)) == 0


def test_a_model_that_fits_nowhere_is_refused_at_the_most() -> None:
    """The refusal names the largest replica, not a degree that was never possible."""
    huge = load_model("gpt-175b")
    small = GPUS.with_settings((("gpu.memory_bytes", 2**34),))
    assert best_tp(small, huge, table_of(10, 10, 10)) == 8


@pytest.mark.parametrize(
    ("tp", "dp", "field", "text"),
    [
        (16, 0, "tp", "must be 1 to 8 (the machine's GPUs), got 16"),
        (0, 16, "dp", "must be 1 to 8 (the machine's GPUs), got 16"),
        (3, 0, "tp", "3 does not divide the 64 heads of qwen-72b"),
        (4, 4, "dp", "4 x 4 GPUs are more than the machine's 8"),
    ],
)
def test_what_cannot_be_is_refused(tp: int, dp: int, field: str, text: str) -> None:
    spec = JobSpec(WorkloadSpec("fixed:1:1", count=1), tp=tp, dp=dp)
    with pytest.raises(InvalidInput) as refused:
        parallel(spec, GPUS, load_model("qwen-72b"), table_of(1, 1, 1))
    assert refused.value.violations == ((field, text),)


@pytest.mark.parametrize(("tp", "dp", "both"), [(2, 0, (2, 4)), (0, 4, (2, 4)), (2, 1, (2, 1))])
def test_what_is_asked_for_is_taken(tp: int, dp: int, both: tuple[int, int]) -> None:
    spec = JobSpec(WorkloadSpec("fixed:1:1", count=1), tp=tp, dp=dp)
    assert parallel(spec, GPUS, load_model("qwen-72b"), table_of(1, 1, 1)) == both

"""All-reduces by mode: formulas by hand, how they grow, and what is known of real ones."""

from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.services.gpu.all_reduce import all_reduce_s
from l3sim.services.gpu.calibrated import Calibrated
from l3sim.specs.catalog import load_group
from l3sim.specs.config import MeasuredGpuConfig

MEASURED = ("a100-80gb", "h100-80gb", "h200", "b200", "l40s")


@cache
def shipped(name: str) -> MeasuredGpuConfig:
    loaded = load_group(name, 8, {})
    assert isinstance(loaded, MeasuredGpuConfig)
    return loaded


def gpu(name: str = "a100-80gb", **settings: Any) -> MeasuredGpuConfig:
    return msgspec.structs.replace(shipped(name), **settings)


#: Latencies of 10 us and 1 us a rank more; rates that are told apart.
PLAIN: dict[str, Any] = {
    "memory_bytes_per_s": 2e6,
    "memory_efficiency": 0.5,
    "all_reduce_eager_us": 50.0,
    "custom_latency_us": 10.0,
    "custom_rank_us": 1.0,
    "custom_one_shot_bytes_per_s": 1e6,
    "custom_two_shot_us": 5.0,
    "custom_two_shot_bytes_per_s": 1e6,
    "custom_below_bytes": 100,
    "custom_most_ranks": 4,
    "nccl_latency_us": 200.0,
    "nccl_rank_us": 2.0,
    "nccl_ll_bytes_per_s": 1e6,
    "nccl_ll128_latency": 0.5,
    "nccl_ll128_bytes_per_s": 2e6,
    "nccl_simple_latency": 1.0,
    "nccl_simple_bytes_per_s": 8e6,
    "nccl_switch_bytes_per_s": None,
    "nccl_contention": 0,
}


def us(ranks: int, size: int, **settings: Any) -> float:
    return float(all_reduce_s(gpu(**PLAIN | settings), ranks, size)) * 1e6


def test_one_shot_reads_all_and_two_shot_twice_almost_all() -> None:
    assert us(4, 2) == pytest.approx(10 + 2 + 3 * 2)
    assert us(4, 60) == pytest.approx(10 + 2 + 5 + 2 * 3 / 4 * 60)
    assert us(2, 60) == pytest.approx(10 + 60)


def test_what_is_large_or_wide_is_left_to_nccl() -> None:
    for ranks, size in ((4, 100), (8, 2)):
        assert us(ranks, size) == us(ranks, size, all_reduce_mode="nccl")
    assert us(4, 99) != us(4, 99, all_reduce_mode="nccl")


def test_nccl_takes_the_fastest_of_its_protocols() -> None:
    latency = 200 + 3 * 2
    assert us(4, 4, all_reduce_mode="nccl") == pytest.approx(latency + 1.5 * 4)
    assert us(4, 200, all_reduce_mode="nccl") == pytest.approx(1.5 * latency + 1.5 * 200 / 2)
    assert us(4, 4000, all_reduce_mode="nccl") == pytest.approx(2.5 * latency + 1.5 * 4000 / 8)


def test_a_switch_may_add_up_and_a_shared_bridge_slows() -> None:
    switch = us(4, 4000, all_reduce_mode="nccl", nccl_switch_bytes_per_s=8e6)
    assert switch == pytest.approx(2.5 * 206 + 1.25 * 4000 / 8)
    shared = us(4, 4000, all_reduce_mode="nccl", nccl_contention=2)
    assert shared == pytest.approx(2.5 * 206 + 4 * 1.5 * 4000 / 8)
    assert us(2, 4000, all_reduce_mode="nccl", nccl_contention=2) == us(2, 4000, all_reduce_mode="nccl")


def test_eager_waits_for_the_host_or_copies() -> None:
    assert us(4, 2, all_reduce_mode="eager") == 50
    assert us(4, 90, all_reduce_mode="eager") == pytest.approx(us(4, 90) + 2 * 90)


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("mode", ["custom", "nccl", "eager"])
def test_more_bytes_never_take_less(name: str, mode: str) -> None:
    sizes = np.unique((2.0 ** np.arange(1, 31, 0.125)).astype(np.int64))
    for ranks in (2, 3, 4, 8):
        times = all_reduce_s(gpu(name, all_reduce_mode=mode), ranks, sizes)
        assert (np.diff(times) >= 0).all(), (ranks, sizes[1:][np.diff(times) < 0])


@given(size=st.integers(1, 2**22), ranks=st.integers(2, 7))
def test_more_ranks_never_take_less(size: int, ranks: int) -> None:
    assert us(ranks, size, custom_most_ranks=8) <= us(ranks + 1, size, custom_most_ranks=8)
    for name in ("a100-80gb", "h100-80gb"):
        assert all_reduce_s(gpu(name), ranks, size) <= all_reduce_s(gpu(name), ranks + 1, size)


@pytest.mark.parametrize(
    ("kib", "measured_us"), [(8, 6.3), (64, 8.4), (512, 18.9), (1024, 21.7), (4096, 45.4), (8192, 129.0)]
)
def test_eight_a100_in_cuda_graphs(kib: int, measured_us: float) -> None:
    level = Calibrated(gpu(), 8)
    assert level.all_reduce(kib, 512).seconds * 1e6 == pytest.approx(measured_us, rel=0.15)


def test_a_mode_is_only_of_gpus_that_were_measured() -> None:
    with pytest.raises(InvalidInput, match=r"gpu\.all_reduce_mode: a40: unknown key 'all_reduce_mode'"):
        load_group("a40", 8, {"all_reduce_mode": "nccl"})
    with pytest.raises(InvalidInput, match="must be one of: custom, nccl, eager; got 'ring'"):
        load_group("a100-80gb", 8, {"all_reduce_mode": "ring"})
    assert not load_group("a100-80gb", 8, {"level": "roofline"}).reads("all_reduce_mode")
    assert load_group("a100-80gb", 8, {}).reads("all_reduce_mode")

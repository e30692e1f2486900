"""Level calibrated against sums by hand, and against closed-form limits."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.services.gpu.all_reduce import all_reduce_s
from l3sim.services.gpu.calibrated import TILES, Calibrated, gemm_limits_s, gemm_s, join
from l3sim.services.gpu.model import GroupCosts
from l3sim.specs.catalog import load_group, load_model
from l3sim.specs.config import CalibratedGpuConfig
from l3sim.work import Op


def gpu(**settings: Any) -> CalibratedGpuConfig:
    loaded = load_group("a100-80gb", 8, {})
    assert isinstance(loaded, CalibratedGpuConfig)
    return msgspec.structs.replace(loaded, **settings)


#: Nothing but arithmetic: 1 FLOP a second and SM, and caches that never bind.
PLAIN: dict[str, Any] = {
    "sms": 10,
    "compute_flops": 10.0,
    "memory_bytes_per_s": 1.0,
    "gemm_compute_efficiency": 1.0,
    "gemm_memory_efficiency": 1.0,
    "gemm_cache_bytes_per_s": 1e18,
    "gemm_launch_us": 0.0,
    "gemm_tile_us": 0.0,
    "gemm_interference": 0.0,
    "gemm_tail_share": 0.0,
    "gemm_reduce_us": None,
}


def test_ten_tiles_are_one_wave_and_eleven_are_two() -> None:
    # Rows of 1024 columns of 64 x 64 tiles; larger tiles would leave SMs idle, smaller ones are as good.
    largest = 64 * 64 * 2 * 100
    one, _ = gemm_limits_s(gpu(**PLAIN), 64, 100, 640)
    two, _ = gemm_limits_s(gpu(**PLAIN), 64, 100, 704)
    assert one == pytest.approx(largest)
    assert one < two <= 2 * largest
    spread, _ = gemm_limits_s(gpu(**PLAIN | {"gemm_tail_share": 1.0}), 64, 100, 704)
    assert spread == pytest.approx(1.1 * largest)


def test_a_tile_that_is_not_full_costs_a_full_one() -> None:
    smallest = min(rows for rows, _ in TILES)
    costs = [float(gemm_limits_s(gpu(**PLAIN), rows, 100, 6400)[0]) for rows in (1, smallest, smallest + 1)]
    assert costs[0] == costs[1] < costs[2]


def test_memory_and_launch_by_hand() -> None:
    bound = gpu(**PLAIN | {"compute_flops": 1e30, "gemm_launch_us": 3e6})
    assert float(gemm_s(bound, 2, 30, 500)) == pytest.approx(2 * (2 * 30 + 30 * 500 + 2 * 500) + 3)


def test_every_tile_pays_its_begin_and_its_loads() -> None:
    slow = gpu(**PLAIN | {"gemm_tile_us": 5e6})
    assert float(gemm_limits_s(slow, 64, 100, 640)[0]) == pytest.approx(64 * 64 * 2 * 100 + 5)
    starved = gpu(**PLAIN | {"compute_flops": 1e30, "gemm_cache_bytes_per_s": 2.0})
    # 256 x 128 loads the least for its results; 1 of them for each of 10 SMs.
    assert float(gemm_limits_s(starved, 2560, 7, 128)[0]) == pytest.approx(7 * (256 + 128))


def test_two_limits_hide_or_add() -> None:
    three, four = np.array(3.0), np.array(4.0)
    assert float(join(three, four, 0.0)) == 4.0
    assert float(join(four, four, 1.0)) == 8.0
    assert 4.0 < float(join(three, four, 0.5)) == float(join(four, three, 0.5)) < 5.5


def test_an_inner_width_is_split_where_that_is_faster_and_its_sum_is_paid() -> None:
    # Results of four tiles at least for ten SMs; in 16 parts each, seven waves have 64 of them.
    every = 64 * 64 * 2 * 2560
    whole, _ = gemm_limits_s(gpu(**PLAIN), 64, 2560, 64)
    split, _ = gemm_limits_s(gpu(**PLAIN | {"gemm_reduce_us": 0.0}), 64, 2560, 64)
    assert [float(whole), float(split)] == pytest.approx([every / 4, every * 7 / 64])
    summed, _ = gemm_limits_s(gpu(**PLAIN | {"gemm_reduce_us": 5e6}), 64, 2560, 64)
    assert split < summed <= split + 7 * 5
    dear, _ = gemm_limits_s(gpu(**PLAIN | {"gemm_reduce_us": 1e15}), 64, 2560, 64)
    assert dear == whole


def test_streams_by_hand() -> None:
    rates = {
        "memory_bytes_per_s": 1e12,
        "norm_efficiency": 0.5,
        "norm_element_ns": 1.0,
        "stream_launch_us": 2,
    }
    level = Calibrated(gpu(**rates), 1)
    assert level.stream("norm", 1, 1000).seconds == pytest.approx(1e-6 + 2e-6)
    assert level.stream("norm", 1_000_000, 1000).seconds == pytest.approx(2e9 / 0.5e12 + 2e-6)
    plain = Calibrated(gpu(memory_bytes_per_s=1e12, memory_efficiency=0.5), 1)
    assert plain.stream("sampling", 1, 1000).work_s == pytest.approx(2e3 / 0.5e12)


def test_all_reduces_of_one_rate_by_hand_and_none_on_one_gpu() -> None:
    rates = msgspec.structs.replace(
        load_group("a40", 8, {}), all_reduce_latency_us=10.0, all_reduce_bytes_per_s=1e9
    )
    assert isinstance(rates, CalibratedGpuConfig)
    assert Calibrated(rates, 8).all_reduce(100, 50).seconds == pytest.approx(10e-6 + 1.75 * 1e4 / 1e9)
    assert Calibrated(rates, 1).all_reduce(100, 50).seconds == 0
    assert all_reduce_s(rates, np.array([2.0, 4.0]), 1000).tolist() == pytest.approx([11e-6, 11.5e-6])


@pytest.mark.parametrize(("model", "tp"), [("gpt-175b", 8), ("llama-2-70b", 4), ("llama-2-7b", 1)])
def test_a_layer_ends_at_its_weights_and_at_its_arithmetic(model: str, tp: int) -> None:
    shape = load_model(model)
    config = gpu()
    weights = (shape.qkv_parameters + shape.output_parameters + shape.ffn_parameters) / tp
    group = GroupCosts(config, shape, tp)

    def gemms_s(tokens: int) -> float:
        return sum(
            spent.work_s
            for op in (Op.BLOCK_IN, Op.BLOCK_OUT)
            for _, spent in group.kernels(op, tokens, 0)
            if spent.limit in ("weights", "compute")
        )

    few = 2 * weights / (config.memory_bytes_per_s * config.gemm_memory_efficiency)
    many = 2 * 65_536 * weights / (config.compute_flops * config.gemm_compute_efficiency)
    assert few < gemms_s(1) < 1.2 * few
    assert many < gemms_s(65_536) < 1.3 * many


def test_kernels_run_alone_as_the_profiles_have_them() -> None:
    names = [name for name, _ in GroupCosts(gpu(), load_model("llama-2-7b"), 1).kernels(Op.BLOCK_IN, 5, 0)]
    assert names == ["norm", "qkv", "rotary"]
    learned = [name for name, _ in GroupCosts(gpu(), load_model("gpt-175b"), 8).kernels(Op.BLOCK_IN, 5, 0)]
    assert learned == ["norm", "qkv"]


@given(
    m=st.lists(st.integers(1, 5000), min_size=1, max_size=20),
    k=st.integers(1, 9999),
    n=st.integers(1, 60_000),
)
def test_arrays_cost_what_their_elements_do(m: list[int], k: int, n: int) -> None:
    level = Calibrated(gpu(), 1)
    whole = gemm_s(gpu(), np.array(m), np.full(len(m), k), np.full(len(m), n))
    assert whole.tolist() == [level.gemm(rows, k, n).seconds for rows in m]

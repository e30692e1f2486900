"""What a transfer passes: which endpoint decides, and who shares it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.services.interconnect.path import Path, path_of
from tests.services.builders import machine

RATE = 32e9 * 0.85


def path(tp: int = 8, dp: int = 1, channels: int = 16, **settings: Any) -> Path:
    on = machine(**{f"link__{key}": value for key, value in settings.items()})
    return path_of(on.link, tp, dp, channels)


def us(one: Path, gpu: int, uplink: int, channel: int, whole: int) -> float:
    return float(one.cost_s(*(np.array(count) for count in (gpu, uplink, channel, whole)))) * 1e6


@pytest.mark.parametrize(
    ("sizes", "rate"),
    [((1 << 30, 0, 0, 0), RATE), ((0, 1 << 30, 0, 0), RATE), ((0, 0, 1 << 30, 0), 25.6e9)],
)
def test_the_narrowest_endpoint_decides(sizes: tuple[int, int, int, int], rate: float) -> None:
    assert us(path(), *sizes) == pytest.approx(1.0 + (1 << 30) / rate * 1e6)
    assert us(path(), *(size + 1000 for size in sizes)) > us(path(), *sizes)


def test_a_transfer_of_nothing_much_is_its_set_up() -> None:
    assert us(path(setup_us=7.5), 0, 0, 0, 0) == pytest.approx(7.5)


@pytest.mark.parametrize(
    ("tp", "dp", "shared", "gpus", "part"),
    [
        (8, 1, 1, 1, 1),
        (8, 1, 4, 4, 1),
        (2, 4, 2, 2, 1),
        (2, 4, 4, 2, 2),  # two replicas on each uplink
        (2, 4, 8, 2, 4),
        (1, 2, 8, 1, 2),  # two replicas are all there are
    ],
)
def test_who_shares_an_uplink(tp: int, dp: int, shared: int, gpus: int, part: int) -> None:
    one = path(tp, dp, 16 // dp, gpus_per_uplink=shared)
    assert (one.gpus, one.gpu_bytes_per_s) == (gpus, RATE)
    assert one.uplink_bytes_per_s == RATE / part


def test_an_uplink_may_be_wider_than_a_link() -> None:
    one = path(gpus_per_uplink=2, uplink_bytes_per_s=64e9)
    assert (one.gpu_bytes_per_s, one.uplink_bytes_per_s) == (RATE, 2 * RATE)


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 64))
def test_the_cpu_only_ever_costs(gpu: int, uplink: int, channel: int, channels: int) -> None:
    sizes = (gpu, uplink, channel, channel * channels)
    unit, cpu = (path(channels=channels, relayout=who) for who in ("unit", "cpu"))
    over = [float(one.endpoints_s(*(np.array(size) for size in sizes))[2]) for one in (unit, cpu)]
    assert over[1] == pytest.approx(3 * over[0])  # all channels alike
    assert us(unit, *sizes) <= us(cpu, *sizes)

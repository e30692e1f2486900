"""PCIe by generation and lanes, and how a machine file says it."""

from itertools import pairwise
from typing import Any

import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import load_machine, parse_value
from l3sim.specs.config import LinkConfig
from l3sim.specs.pcie import GENERATIONS, LANES, check_uplinks, raw_bytes_per_s

MACHINE = load_machine("l3-dgx-a100")


def link(**settings: str) -> LinkConfig:
    pairs = [(f"link.{key}", parse_value(key, value)) for key, value in settings.items()]
    changed: LinkConfig = MACHINE.with_settings(pairs).link
    return changed


def by_table(generation: int, lanes: int) -> float:
    return raw_bytes_per_s(
        link(pcie_bytes_per_s="null", pcie_generation=str(generation), pcie_lanes=str(lanes))
    )


@pytest.mark.parametrize(
    ("generation", "lanes", "gb_per_s"),
    # As the specifications' overviews print them, each way.
    [
        (1, 1, 0.25),
        (2, 4, 2.0),
        (3, 16, 15.754),
        (4, 16, 31.508),
        (5, 8, 31.508),
        (5, 16, 63.015),
        (6, 16, 118.0),
    ],
)
def test_published_rates(generation: int, lanes: int, gb_per_s: float) -> None:
    assert by_table(generation, lanes) / 1e9 == pytest.approx(gb_per_s, rel=1e-4)


def test_lanes_are_alike_and_generations_grow() -> None:
    for generation in GENERATIONS:
        one = by_table(generation, 1)
        assert [by_table(generation, lanes) for lanes in LANES] == [one * lanes for lanes in LANES]
    rates = [by_table(generation, 16) for generation in sorted(GENERATIONS)]
    assert all(1.8 < next_ / rate < 2.0 + 1e-9 for rate, next_ in pairwise(rates))


def test_a_rate_of_its_own_stands() -> None:
    assert raw_bytes_per_s(MACHINE.link) == 32e9


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"pcie_generation": "5"},
            "link.pcie_generation: l3-dgx-a100: excludes pcie_bytes_per_s, which says the rate itself; "
            "make one of them null",
        ),
        (
            {"pcie_bytes_per_s": "null"},
            "link.pcie_generation: l3-dgx-a100: missing; a link needs pcie_generation and pcie_lanes, "
            "or pcie_bytes_per_s",
        ),
        (
            {"pcie_bytes_per_s": "null", "pcie_generation": "5"},
            "link.pcie_lanes: l3-dgx-a100: missing; a link needs pcie_generation and pcie_lanes, "
            "or pcie_bytes_per_s",
        ),
        (
            {"pcie_bytes_per_s": "null", "pcie_generation": "5", "pcie_lanes": "12"},
            "link.pcie_lanes: l3-dgx-a100: must be one of: 1, 2, 4, 8, 16; got 12",
        ),
        ({"pcie_generation": "7"}, "link.pcie_generation: l3-dgx-a100: Expected `int` <= 6, got 7"),
        ({"pcie_bytes_per_s": "0"}, "link.pcie_bytes_per_s: l3-dgx-a100: Expected `float` > 0.0, got 0"),
        (
            {"channel_bytes_per_s": "0"},
            "link.channel_bytes_per_s: l3-dgx-a100: Expected `float` > 0.0, got 0",
        ),
        ({"relayout": "gpu"}, "link.relayout: l3-dgx-a100: must be one of: unit, cpu; got 'gpu'"),
    ],
)
def test_refused(settings: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        link(**settings)
    assert str(refused.value) == text


@pytest.mark.parametrize(("shared", "tp"), [(1, 3), (4, 8), (8, 4), (2, 2)])
def test_uplinks_that_divide(shared: int, tp: int) -> None:
    check_uplinks(link(gpus_per_uplink=str(shared)), tp)


def test_uplinks_that_cut_a_replica() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_uplinks(link(gpus_per_uplink="3"), 8)
    assert str(refused.value) == (
        "link.gpus_per_uplink: 3 GPUs of an uplink and 8 of a replica (tp) do not divide each other; "
        "change one"
    )


def test_other_sections_know_nothing_of_it() -> None:
    settings: list[tuple[str, Any]] = [("gpu.tdp_w", 300)]
    assert MACHINE.with_settings(settings).link == MACHINE.link

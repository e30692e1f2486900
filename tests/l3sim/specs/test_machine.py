"""Machine files: sources, settings, refusals."""

import copy
from typing import Any

import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import load_machine, machine_layers, machine_names, parse_value
from l3sim.specs.machine import SECTIONS, Machine, machine_from


def raw(name: str = "l3-mini") -> dict[str, Any]:
    return machine_layers(name).raw


@pytest.mark.parametrize("name", machine_names())
def test_every_number_has_a_source(name: str) -> None:
    machine = load_machine(name)
    for section in SECTIONS:
        for key, value in raw(name)[section].items():
            if key not in ("kind", "level"):
                assert value.keys() == {"value", "source"}, f"{section}.{key}"
                assert len(machine.sources[f"{section}.{key}"]) > 5, f"{section}.{key}"


def test_the_reference_machine_is_that_of_the_design() -> None:
    """The hardware table of docs/machines.md."""
    machine = load_machine("l3-dgx-a100")
    gpu, pim, link = machine.gpu, machine.attention, machine.link
    assert (gpu.gpus, gpu.memory_bytes, gpu.compute_flops) == (8, 80 * 2**30, 312e12)
    assert gpu.gpus * gpu.memory_bytes_per_s == pytest.approx(16.3e12)
    ranks = pim.modules * pim.ranks_per_module
    assert (pim.modules, ranks, ranks * pim.rank_capacity_bytes) == (32, 64, 2 * 2**40)
    inside = ranks * pim.chips_per_rank * pim.banks_per_chip * pim.bank_bytes_per_s
    assert inside == pytest.approx(13.1e12, rel=0.001)
    assert ranks * pim.rank_bytes_per_s == pytest.approx(1.6e12, rel=0.03)
    assert pim.modules / pim.modules_per_channel * link.channel_bytes_per_s == pytest.approx(409.6e9)
    assert (link.pcie_bytes_per_s, link.pcie_efficiency) == (32e9, 0.85)
    assert (machine.default_model, load_machine("l3-mini").default_model) == ("gpt-175b", "llama-2-7b")
    assert (gpu.tdp_w, gpu.idle_w) == (400, 50)


def test_resolved_reads_back_as_the_same_machine() -> None:
    machine = load_machine("l3-mini").with_settings([("attention.n_hc", 4)])
    again = machine_from(machine.resolved(), "again")
    assert again.digest == machine.digest
    assert again.resolved() == machine.resolved()


def test_digest_is_of_values_not_of_sources_or_names() -> None:
    machine, other = load_machine("l3-mini"), raw()
    other["name"] = "mine"
    other["gpu"]["tdp_w"] = 400
    assert machine_from(other, "mine").digest == machine.digest
    other["gpu"]["tdp_w"] = 401
    assert machine_from(other, "mine").digest != machine.digest


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("gpu.compute_flops", "2e14", 2e14),
        ("gpu.compute_flops", "3.12E+14", 3.12e14),
        ("gpu.compute_flops", "1000", 1000.0),
        ("attention.memory_share", ".5", 0.5),
        ("attention.pipelining", "false", False),
        ("attention.n_hc", "4", 4),
        ("attention.n_hc", "null", None),
        ("attention.capacity_bytes", "1_000_000", 1_000_000),
        ("link.overlap", "off", "off"),
        ("link.channel_bus", "full", "full"),
        ("scheduler.admission", "aligned", "aligned"),
        ("host.schedule_us", "0", 0.0),
    ],
)
def test_settings_are_written_as_yaml(path: str, text: str, value: Any) -> None:
    machine = load_machine("l3-mini").with_settings([(path, parse_value(path, text))])
    section, _, key = path.partition(".")
    found = machine.section(section)[key]
    assert found == value
    assert type(found) is type(value)
    assert machine.sources[path] == "job"


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("gpu.compute_flops", -1, "gpu.compute_flops: l3-mini: Expected `float` > 0.0, got -1"),
        ("gpu.compute_flops", "fast", "gpu.compute_flops: l3-mini: Expected `float`, got `str`, got 'fast'"),
        ("gpu.compute_flops", float("inf"), "gpu.compute_flops: l3-mini: must be finite, got inf"),
        ("gpu.compute_flops", float("nan"), "gpu.compute_flops: l3-mini: "),
        (
            "gpu.memory_reserve_share",
            1.0,
            "gpu.memory_reserve_share: l3-mini: Expected `float` < 1.0, got 1.0",
        ),
        ("gpu.memory_bytes", 1.5, "gpu.memory_bytes: l3-mini: Expected `int`, got `float`, got 1.5"),
        ("link.overlap", "on", "link.overlap: l3-mini: must be one of: rankset, off; got 'on'"),
        (
            "attention.level",
            "exact",
            "attention.level: l3-mini: must be one of: fast, command, roofline, ideal; got 'exact'",
        ),
        (
            "attention.kind",
            "hbm",
            "attention.kind: belongs to the machine, not to a job; use another machine file",
        ),
        ("gpu.gpus", 9, "gpu.gpus: belongs to the machine, not to a job; use another machine file"),
        (
            "attention.n_hc",
            3,
            "attention.n_hc: l3-mini: must be a power of two up to chips_per_rank (8), got 3",
        ),
        (
            "attention.n_hc",
            16,
            "attention.n_hc: l3-mini: must be a power of two up to chips_per_rank (8), got 16",
        ),
        (
            "attention.ranksets",
            6,
            "attention.ranksets: l3-mini: 6 ranksets need 6/2 modules a channel, "
            "which must divide the 4 modules; use up to 4",
        ),
        ("host.power", 1, "host.power: unknown key 'power'; did you mean 'power_w'? "),
        ("hosts.power_w", 1, "set: unknown section 'hosts'; did you mean 'host'? "),
        ("host", 1, "set: unknown section 'host'"),
        (
            "scheduler.min_chunk_tokens",
            4096,
            "scheduler.min_chunk_tokens: l3-mini: must not exceed max_chunk_tokens",
        ),
    ],
)
def test_settings_are_refused_by_name(path: str, value: Any, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        load_machine("l3-mini").with_settings([(path, value)])
    assert str(refused.value).startswith(text)
    assert "\n" not in str(refused.value)


def changed(change: Any) -> dict[str, Any]:
    values = copy.deepcopy(raw())
    change(values)
    return values


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.pop("host"), "host: here: missing"),
        (lambda m: m.pop("name"), "name: here: missing"),
        (lambda m: m["gpu"].pop("tdp_w"), "gpu.tdp_w: here: missing"),
        (lambda m: m.update(hots={}), "hots: here: unknown key 'hots'; did you mean 'host'? "),
        (lambda m: m["gpu"].update(tdp=1), "gpu.tdp: here: unknown key 'tdp'; did you mean 'tdp_w'? "),
        (lambda m: m.update(gpu=[]), "gpu: here: must be a mapping"),
        (lambda m: m["gpu"].update(tdp_w={"source": "x"}), "gpu.tdp_w: here: must have value and source, "),
        (
            lambda m: m["gpu"].update(tdp_w={"value": 1, "unit": "W"}),
            "gpu.tdp_w: here: must have value and source, nothing else",
        ),
        (
            lambda m: m["attention"].update(kind="dim-pim"),
            "attention.kind: here: unknown kind 'dim-pim'; did you mean 'dimm-pim'? "
            "(there are: cpu-attention, dimm-pim, gpu, hbm-pim)",
        ),
        (
            lambda m: m["attention"].update(modules=5),
            "attention.modules: here: must be a multiple of modules_per_channel (2), got 5",
        ),
    ],
)
def test_files_are_refused_by_name(change: Any, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        machine_from(changed(change), "here")
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize("whole", [None, [], "l3-mini"])
def test_a_file_is_a_mapping(whole: Any) -> None:
    with pytest.raises(InvalidInput, match="machine: here: must be a mapping of attention, default_model"):
        machine_from(whole, "here")


@pytest.mark.parametrize(("least", "most"), [(100, 100), (257, 300), (65, 127)])
def test_chunk_bounds_leave_a_multiple_of_64(least: int, most: int) -> None:
    bounds = [("scheduler.min_chunk_tokens", least), ("scheduler.max_chunk_tokens", most)]
    with pytest.raises(InvalidInput) as refused:
        load_machine("l3-mini").with_settings(bounds)
    assert str(refused.value) == (
        f"scheduler.min_chunk_tokens: l3-mini: no multiple of 64 lies between it ({least}) and "
        f"max_chunk_tokens ({most})"
    )


def test_a_bare_value_is_unsourced() -> None:
    values = raw()
    values["host"]["power_w"] = 5
    machine: Machine = machine_from(values, "here")
    assert machine.host.power_w == 5
    assert machine.sources["host.power_w"] == "unsourced"
    assert machine.resolved()["host"]["power_w"] == {"value": 5.0, "source": "unsourced"}
    assert machine.resolved()["attention"]["n_hc"] == {"value": None, "source": "default"}

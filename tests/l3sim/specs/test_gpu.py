"""GPU files: what they must say, and how machines take them."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from l3sim.errors import InvalidInput
from l3sim.specs import catalog
from l3sim.specs.catalog import (
    GPUS,
    MACHINES,
    gpu_names,
    load_gpu,
    load_group,
    load_machine,
)
from l3sim.specs.config import CALIBRATION_KEYS, MEASURED_KEYS, CalibratedGpuConfig

ADA = (GPUS / "rtx-4090.yaml").read_text()
CALIBRATED = {"a100-80gb", "h100-80gb", "a40", "h200", "b200", "l40s"}


def test_names_that_must_exist() -> None:
    assert set(gpu_names()) >= {*CALIBRATED, "a100-40gb", "rtx-4090"}


@pytest.mark.parametrize("name", gpu_names())
def test_every_number_has_a_source_and_levels_are_what_the_file_can(name: str) -> None:
    raw = YAML(typ="safe", pure=True).load(GPUS / f"{name}.yaml")
    assert raw["name"] == name
    for key in raw.keys() - {"name", "description", "level"}:
        assert raw[key].keys() == {"value", "source"}, key
        assert len(raw[key]["source"]) >= 7, key
    group = load_group(name, 4, {})
    assert (group.type, group.gpus) == (name, 4)
    assert (group.level == "calibrated") == (name in CALIBRATED) == isinstance(group, CalibratedGpuConfig)
    assert load_group(name, 4, {"level": "roofline"}).level == "roofline"


def test_a_section_of_another_kind_is_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    other = load_machine("l3-mini").attention
    monkeypatch.setattr(catalog, "check_section", lambda *_: other)
    with pytest.raises(InvalidInput, match=r"^gpu\.kind: h200: must be gpu, .* got 'near-gpu'$"):
        load_group("h200", 1, {"kind": "near-gpu"})


def test_another_gpu_replaces_every_key_of_one_gpu() -> None:
    machine = load_machine("l3-dgx-a100", gpu="rtx-4090")
    assert (machine.gpu.type, machine.gpu.level, machine.gpu.gpus) == ("rtx-4090", "roofline", 8)
    assert machine.gpu.memory_bytes_per_s == 1.008e12
    assert machine.sources["gpu.compute_flops"].startswith("Ada white paper")
    assert machine.sources["gpu.gpus"] == "DGX A100 data sheet"
    assert not machine.section("gpu").keys() & {*CALIBRATION_KEYS, *MEASURED_KEYS}
    assert machine.digest != load_machine("l3-dgx-a100").digest


def test_settings_reach_the_keys_of_a_gpu_file() -> None:
    machine = load_machine("l3-mini").with_settings([("gpu.norm_efficiency", 0.2), ("gpu.level", "roofline")])
    assert isinstance(machine.gpu, CalibratedGpuConfig)
    assert (machine.gpu.norm_efficiency, machine.gpu.level) == (0.2, "roofline")
    assert machine.sources["gpu.norm_efficiency"] == "job"
    with pytest.raises(InvalidInput, match=r"gpu\.type: belongs to the machine"):
        machine.with_settings([("gpu.type", "h200")])


def test_a_machine_file_stands_above_its_gpu_file_which_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(ADA.replace("name: rtx-4090", "name: mine"))
    text = (MACHINES / "l3-mini.yaml").read_text()
    own = text.replace("  file: a100-80gb", "  file: ./mine.yaml\n  tdp_w: 123")
    (tmp_path / "machine.yaml").write_text(own)
    gpu = load_machine(str(tmp_path / "machine.yaml")).gpu
    assert (gpu.type, gpu.tdp_w, gpu.memory_bytes) == ("mine", 123, 24 * 2**30)
    assert load_machine(str(tmp_path / "machine.yaml"), gpu="h200").gpu.tdp_w == 700


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tdp_w:", "tdp_kw:", "gpu.tdp_kw: {}: unknown key 'tdp_kw'; did you mean 'tdp_w'?"),
        ("1.008e12,", "0,", "gpu.memory_bytes_per_s: {}: Expected `float` > 0.0, got 0"),
        (
            "1.008e12,",
            "1008,",
            "gpu.memory_bytes_per_s: {}: 1008 cannot be bytes a second of a GPU; check",
        ),
        (
            "1.008e12,",
            "1 TB/s,",
            "gpu.memory_bytes_per_s: {}: Expected `float`, got `str`, got '1 TB/s'",
        ),
        ("tdp_w: ", "# ", "gpu.tdp_w: {}: missing"),
        ("level: roofline", "level: calibrated", "gpu.sms: {}: missing; level calibrated needs it"),
        (
            "level: roofline",
            "sms: 128",
            "gpu.gemm_compute_efficiency: {}: missing; level calibrated needs",
        ),
        ("level: roofline", "gpus: 8", "gpu.gpus: {}: belongs in a machine file, not in a GPU's"),
        ("name: rtx-4090", "", "gpu.name: {}: missing, or no text"),
        (ADA, "- 1", "gpu: {}: must be a mapping of keys to {{value, source}}"),
    ],
)
def test_what_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in ADA
    file = tmp_path / "mine.yaml"
    file.write_text(ADA.replace(old, new))
    with pytest.raises(InvalidInput) as caught:
        load_gpu(str(file))
    assert message.format(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gpus_that_do_not_exist() -> None:
    with pytest.raises(InvalidInput, match="unknown gpu 'h20'; did you mean 'h200'"):
        load_machine("l3-mini", gpu="h20")
    with pytest.raises(InvalidInput, match=r"gpu: no file '\./h200\.yaml'"):
        load_machine("l3-mini", gpu="./h200.yaml")

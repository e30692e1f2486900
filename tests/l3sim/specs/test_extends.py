"""Machine files on top of others: what is kept, what begins anew, who said it."""

from pathlib import Path

import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import load_machine, machine_layers

HEAD = "extends: l3-mini\nname: mine\ndescription: mine\n"


def written(folder: Path, text: str, name: str = "mine.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_file_says_only_what_differs(tmp_path: Path) -> None:
    mine = load_machine(written(tmp_path, HEAD + "link:\n  setup_us: {value: 2.0, source: measured here}\n"))
    base = load_machine("l3-mini")
    assert (mine.name, mine.link.setup_us, mine.sources["link.setup_us"]) == ("mine", 2.0, "measured here")
    assert (mine.gpu, mine.attention, mine.host) == (base.gpu, base.attention, base.host)
    assert mine.link.pcie_bytes_per_s == base.link.pcie_bytes_per_s
    assert mine.digest != base.digest


def test_every_value_names_the_file_that_says_it(tmp_path: Path) -> None:
    middle = written(tmp_path, HEAD + "host: {power_w: 1}\n", "middle.yaml")
    top = written(tmp_path, "extends: ./middle.yaml\nname: top\ndescription: top\nhost: {launch_us: 1}\n")
    files = machine_layers(top).files
    assert files["host.launch_us"] == top
    assert Path(files["host.power_w"]) == Path(middle)
    assert files["host.output_us"] == "machines/l3-mini.yaml"
    assert files["gpu.gpus"] == "machines/l3-mini.yaml"
    assert files["gpu.compute_flops"] == "gpus/a100-80gb.yaml"
    assert machine_layers(top, gpu="h200").files["gpu.tdp_w"] == "gpus/h200.yaml"


def test_another_gpu_keeps_how_many_there_are_and_nothing_of_the_old_one(tmp_path: Path) -> None:
    below = written(tmp_path, HEAD + "gpu: {tdp_w: 1}\n", "below.yaml")
    assert load_machine(below).gpu.tdp_w == 1
    mine = load_machine(
        written(tmp_path, "extends: ./below.yaml\nname: a\ndescription: a\ngpu: {file: h200}\n")
    )
    assert (mine.gpu.type, mine.gpu.gpus) == ("h200", 1)
    assert mine.gpu.tdp_w > 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("extends: l3-min\nname: a\ndescription: a\n", "machine: unknown machine 'l3-min'; did you mean"),
        ("extends: 3\nname: a\ndescription: a\n", "extends: .*must be the name or path of a machine, got 3"),
        ("extends: ./mine.yaml\nname: a\ndescription: a\n", "extends: .*is it a circle"),
        ("extends: l3-mini\nname: a\n", "description: .*has its own"),
        (HEAD + "link: {setup: 1}\n", "link.setup: .*unknown key 'setup'; did you mean 'setup_us'"),
        (HEAD + "link: {kind: interconnect}\nattention: {kind: abacus}\n", "attention.kind: .*'abacus'"),
        ("- 1\n", "machine: .*must be a mapping"),
    ],
)
def test_what_is_refused_is_named(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=told):
        load_machine(written(tmp_path, text))

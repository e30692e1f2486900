"""Files of models and machines, by name or path."""

from pathlib import Path
from typing import Any

import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import (
    MACHINES,
    MODELS,
    load_machine,
    load_model,
    machine_names,
    model_names,
    parse_value,
)


def test_names_that_must_exist() -> None:
    assert {"gpt-175b", "opt-66b", "qwen-72b", "llama-2-7b", "llama-2-70b"} <= set(model_names())
    assert {"l3-dgx-a100", "l3-mini"} <= set(machine_names())


@pytest.mark.parametrize("name", machine_names())
def test_machines_are_called_as_their_files(name: str) -> None:
    assert load_machine(name).name == name


@pytest.mark.parametrize("name", model_names())
def test_models_are_called_as_their_files(name: str) -> None:
    assert load_model(name).name == name


def test_files_are_taken_by_path(tmp_path: Path) -> None:
    machine, model = tmp_path / "mine.yaml", tmp_path / "mine.yml"
    machine.write_text((MACHINES / "l3-mini.yaml").read_text().replace("name: l3-mini", "name: mine"))
    model.write_text((MODELS / "llama-2-7b.yaml").read_text().replace("layers: 32", "layers: 3"))
    assert load_machine(str(machine)).name == "mine"
    assert load_model(str(model)).layers == 3


def test_modules_of_the_environment_win() -> None:
    machine = load_machine("l3-dgx-a100", modules=128)
    assert machine.attention.modules == 128
    assert machine.sources["attention.modules"] == "L3_MODULES"
    with pytest.raises(
        InvalidInput, match=r"attention\.modules: .* must be a multiple of modules_per_channel"
    ):
        load_machine("l3-dgx-a100", modules=3)
    with pytest.raises(InvalidInput, match=r"attention\.modules: .*Expected `int` >= 2"):
        load_machine("l3-dgx-a100", modules=0)


@pytest.mark.parametrize(
    ("load", "name", "text"),
    [
        (
            load_machine,
            "l3-min",
            "machine: unknown machine 'l3-min'; did you mean 'l3-mini'? "
            f"(there are: {', '.join(machine_names())})",
        ),
        (load_machine, "no/where.yaml", "machine: no file 'no/where.yaml'"),
        (load_machine, "where.yml", "machine: no file 'where.yml'"),
        (load_model, "nowhere.yaml", "model: no file 'nowhere.yaml'"),
        (load_machine, "../models/gpt-175b", "machine: no file '../models/gpt-175b'"),
    ],
)
def test_what_does_not_exist(load: Any, name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        load(name)
    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a: [1", "while parsing a flow sequence"),
        ("name: a\nname: b\n", 'found duplicate key "name"'),
        ("", "must be a mapping"),
        ("- 1\n", "must be a mapping"),
        (b"\xff\xfe\x00", "machine: "),
    ],
)
def test_files_that_are_no_machine(tmp_path: Path, content: str | bytes, text: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput) as refused:
        load_machine(str(file))
    assert text in str(refused.value)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_bad_model_names_its_file(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text((MODELS / "llama-2-7b.yaml").read_text().replace("layers: 32", "layers: 0"))
    with pytest.raises(InvalidInput) as refused:
        load_model(str(file))
    assert str(refused.value) == f"model: {file}: layers must be 1 to 10,000,000, got 0"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e12", 2e12),
        ("1.6E+9", 1.6e9),
        ("-3", -3),
        ("0x10", 16),
        ("off", "off"),
        ("no", "no"),
        ("true", True),
        ("null", None),
        ("'8'", "8"),
        ("1e400", float("inf")),
    ],
)
def test_values_are_yaml_1_2(text: str, value: Any) -> None:
    found = parse_value("a.b", text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1, 2]", "must be one value, got '[1, 2]'"),
        ("{a: 1}", "must be one value, got '{a: 1}'"),
        ("a: b", "must be one value, got 'a: b'"),
        ("[1", "cannot read '[1' as a value"),
        ("!!python/object:os.system x", "cannot read '!!python/object:os.system x' as a value"),
        ("*a", "cannot read '*a' as a value"),
    ],
)
def test_values_that_are_none(text: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_value("gpu.tdp_w", text)
    assert str(refused.value) == f"gpu.tdp_w: {why}"

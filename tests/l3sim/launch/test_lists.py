"""`./l3 machine list`, `./l3 model list`, `./l3 gpu list`."""

import json

import pytest

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients.cli import main
from l3sim.specs.catalog import gpu_names, load_model, machine_names, model_names

LISTS = {"machine": machine_names, "model": model_names, "gpu": gpu_names}


@pytest.mark.parametrize("what", LISTS)
def test_every_name_has_a_line_that_says_what_it_is(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([what, "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == LISTS[what]()
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize("what", LISTS)
def test_json_has_the_same(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([what, "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found] == LISTS[what]()
    assert all(one["description"] and "\n" not in one["description"] for one in found)


def test_a_model_is_described_by_its_shape(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "list", "--json"]) == 0
    (one,) = [one for one in json.loads(capsys.readouterr().out) if one["name"] == "llama-2-7b"]
    shape = load_model("llama-2-7b")
    assert one["parameters"] == shape.parameters
    assert one["kv_bytes_per_token"] == shape.kv_bytes_per_token == 512 * 1024
    assert one["description"].startswith("6.7 B parameters, 32 layers")


def test_the_description_of_a_gpu_is_that_of_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpu", "list"]) == 0
    assert "a100-80gb    NVIDIA A100 80 GB, SXM4\n" in capsys.readouterr().out

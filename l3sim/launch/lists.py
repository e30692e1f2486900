"""`./l3 machine list`, `./l3 model list`, `./l3 gpu list`: what there is by name, a line each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from l3sim.clients.cli import print_json
from l3sim.clients.options import JsonOption

if TYPE_CHECKING:
    from l3sim.specs.model import ModelShape

model_app = typer.Typer(
    name="model",
    help="Look into the models; no machine is started.",
    add_completion=False,
    rich_markup_mode=None,
)
gpu_app = typer.Typer(
    name="gpu",
    help="Look into the GPU files; no machine is started.",
    add_completion=False,
    rich_markup_mode=None,
)


@model_app.callback()
@gpu_app.callback()
def _group() -> None:
    # Without a callback typer would drop a command's name while there is only one.
    pass


@model_app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the models that `--model` knows by name; beside them it takes any file."""
    print_list(models(), as_json)


@gpu_app.command("list")
def list_gpus(as_json: JsonOption = False) -> None:
    """List the GPUs that `--gpu` knows by name; beside them it takes any file."""
    print_list(gpus(), as_json)


def machines() -> list[dict[str, Any]]:
    """Machines: {name, description, default_model}."""
    from l3sim.specs.catalog import load_machine, machine_names

    found = [load_machine(name) for name in machine_names()]
    return [
        {"name": one.name, "description": one.description, "default_model": one.default_model}
        for one in found
    ]


def models() -> list[dict[str, Any]]:
    """Models: {name, description, parameters, weight_bytes, kv_bytes_per_token, source}."""
    from l3sim.specs.catalog import load_model, model_names

    return [
        {
            "name": one.name,
            "description": _description(one),
            "parameters": one.parameters,
            "weight_bytes": one.weight_bytes,
            "kv_bytes_per_token": one.kv_bytes_per_token,
            "source": one.source,
        }
        for one in map(load_model, model_names())
    ]


def _description(model: "ModelShape") -> str:
    heads = f"{model.heads} heads on {model.kv_heads} of KV"
    size = f"{model.parameters / 1e9:.1f} B parameters, {model.layers} layers"
    return f"{size}, {heads}, {model.kv_bytes_per_token / 1024:,.0f} KiB of KV a token"


def gpus() -> list[dict[str, Any]]:
    """GPUs: {name, description, level}."""
    from l3sim.specs.catalog import gpu_description, gpu_names, load_gpu

    return [
        {"name": name, "description": gpu_description(name), "level": load_gpu(name)["level"]}
        for name in gpu_names()
    ]


def print_list(found: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print a name and a description a line, or all of it as JSON."""
    if as_json:
        print_json(found)
        return
    width = max(len(one["name"]) for one in found)
    for one in found:
        print(f"{one['name']:<{width}}  {one['description']}")

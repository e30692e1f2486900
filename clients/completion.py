"""What a shell may complete: names of machines, models, GPUs, policies and workloads; files it knows itself.

l3 --install-completion        for the shell that asks, from its next start on
eval "$(l3 --show-completion)" in bash and zsh, here and now
"""

import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import get_args, get_type_hints

import typer
from typer.models import ParameterInfo

from l3sim.specs.catalog import gpu_names, machine_names, model_names
from l3sim.specs.workload import workload_names

#: Policies that are ours, and the entry points of those of other packages; nothing of them is loaded here,
#: where a user waits at a prompt.
POLICIES = ("adaptive", "chunked", "fill", "l3", "serial", "static")
POLICY_GROUP = "l3sim.policies"


#: Set by the shell's script when it asks what may follow.
ASKED = "_L3_COMPLETE"


def machines(incomplete: str) -> list[str]:
    """Machines that `--machine` knows by name."""
    return _beginning(machine_names(), incomplete)


def models(incomplete: str) -> list[str]:
    """Models that `--model` knows by name."""
    return _beginning(model_names(), incomplete)


def gpus(incomplete: str) -> list[str]:
    """GPUs that `--gpu` knows by name."""
    return _beginning(gpu_names(), incomplete)


def policies(incomplete: str) -> list[str]:
    """Policies that `--policy` knows, those of installed packages among them."""
    theirs = [point.name for point in entry_points(group=POLICY_GROUP)]
    return _beginning(sorted({*POLICIES, *theirs}), incomplete)


def workloads(incomplete: str) -> list[str]:
    """Workloads with a name; of `fixed:IN:OUT` the beginning."""
    return _beginning([*workload_names(), "fixed:"], incomplete)


#: By what a parameter is called, in whatever command it is.
COMPLETIONS: dict[str, Callable[[str], list[str]]] = {
    "machine": machines,
    "model": models,
    "gpu": gpus,
    "policy": policies,
    "workload": workloads,
}


def complete_names(app: typer.Typer) -> None:
    """Have the parameters of every command below `app` complete what their names promise."""
    for name, parameter in parameters(app):
        if name in COMPLETIONS and parameter.autocompletion is None:
            parameter.autocompletion = COMPLETIONS[name]


def parameters(app: typer.Typer) -> Iterator[tuple[str, ParameterInfo]]:
    """Name and declaration of each parameter of each command, those of groups among them."""
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from parameters(group.typer_instance)
    for command in app.registered_commands:
        assert command.callback is not None
        hints = get_type_hints(command.callback, include_extras=True)
        for name in inspect.signature(command.callback).parameters:
            for said in get_args(hints.get(name)):
                if isinstance(said, ParameterInfo):
                    yield name, said


def _beginning(names: list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
